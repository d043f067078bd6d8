"""The register reference and the C header say what the contract says, and compile."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from pagering import abi, reference


@pytest.mark.parametrize(("path", "render"), [
    (reference.MARKDOWN, reference.markdown), (reference.HEADER, reference.c_header)],
    ids=["registers.md", "pagering.h"])
def test_checked_in_copy_is_fresh(path: Path, render: object) -> None:
    assert callable(render)
    assert path.read_text(encoding="utf-8") == render(), f"{path.name} is stale: run make reference"


def test_markdown_names_every_register_field_and_number() -> None:
    text = reference.markdown()
    for block in abi.BLOCKS:
        section = text.split(f"\n## {block.name}\n")[1].split("\n## ")[0]
        for register in block:
            assert f"### {block.name}.{register.name}\n" in section \
                or f"| {register.name} |" in section, f"{block.name}.{register.name}"
            assert register.doc in section
            for field in register.named:
                assert field.doc in section
    for kind in (abi.DropCause, abi.Fault, abi.Event, abi.Policy, abi.SteeringMode):
        for item in kind:
            assert f"| {int(item)} | {item.name} |" in text


def test_markdown_tables_are_well_formed() -> None:
    """All rows of a table have as many cells as its head."""
    cells = 0
    for line in reference.markdown().splitlines():
        if not line.startswith("|"):
            cells = 0
            continue
        count = len(re.findall(r"(?<!\\)\|", line))
        assert cells in (0, count), line
        cells = count


@pytest.mark.skipif(not shutil.which("cc"), reason="no C compiler")
@pytest.mark.parametrize("standard", ["c99", "c11"])
def test_header_means_the_same_in_c(tmp_path: Path, standard: str) -> None:
    """A C program that includes the header twice prints the addresses that the contract gives."""
    queue = abi.QUEUE.address("HELD", 3)
    pool = abi.POOL["CONTROL"]["policy"].mask
    phase = abi.COMPLETION["phase"].lsb
    generation = abi.TOKEN["generation"]
    source = tmp_path / "header.c"
    source.write_text(f"""
        #include "{reference.HEADER.name}"
        #include "{reference.HEADER.name}"
        int main(void)
        {{
            return !(PAGERING_QUEUE_AT(3) + PAGERING_QUEUE_HELD == {queue}u
                     && PAGERING_POOL_CONTROL_POLICY_MASK == {pool}u
                     && 32 * PAGERING_COMPLETION_PHASE_WORD + PAGERING_COMPLETION_PHASE_SHIFT
                        == {phase}
                     && PAGERING_TOKEN_GENERATION_MASK == {generation.mask}u
                     && PAGERING_STATS_FAULT_RETURN_IDLE
                        == {abi.STATS["FAULT_RETURN_IDLE"].offset}u
                     && PAGERING_FAULT_RETURN_IDLE == {int(abi.Fault.RETURN_IDLE)}
                     && PAGERING_ID_VALUE == {abi.ID_VALUE}u);
        }}
    """)
    subprocess.run(["cc", f"-std={standard}", "-Wall", "-Wextra", "-Werror", "-pedantic",
                    f"-I{reference.HEADER.parent}", str(source), "-o", str(tmp_path / "header")],
                   check=True)
    subprocess.run([str(tmp_path / "header")], check=True)


def test_header_defines_each_name_once() -> None:
    names = re.findall(r"#define (\w+)", reference.c_header())
    assert len(names) == len(set(names))
