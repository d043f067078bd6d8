"""The doctor finds what is missing and says how to get it, and is quiet when nothing is."""

from __future__ import annotations

import importlib
import io
import shutil
from types import ModuleType

import pytest
from rich.console import Console

from pagering import doctor
from pagering.doctor import Finding, State


def named(findings: list[Finding], name: str) -> Finding:
    return next(finding for finding in findings if finding.name == name)


def printed(findings: list[Finding], *, quiet: bool) -> tuple[int, str]:
    console = Console(file=io.StringIO(), width=200)
    status = doctor.report(findings, quiet=quiet, console=console)
    assert isinstance(console.file, io.StringIO)
    return status, console.file.getvalue()


def test_machine_that_runs_the_tests_is_fine() -> None:
    findings = doctor.check()
    assert not [finding for finding in findings if finding.state is State.MISSING]
    assert named(findings, "amaranth").found.startswith("0.5.")
    assert named(findings, "Verilator").found.startswith("5.")
    assert printed(findings, quiet=True) == (0, "")
    status, text = printed(findings, quiet=False)
    assert status == 0
    assert "All that is required is here." in text


def test_every_finding_says_what_it_is_for() -> None:
    for finding in doctor.check():
        assert finding.purpose
        assert finding.found
        assert bool(finding.remedy) == (finding.state is not State.OK), finding.name


def test_empty_path_lacks_every_program(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    findings = doctor.check()
    for name in ("C++ compiler", "make", "perl", "Verilator"):
        assert named(findings, name).state is State.MISSING, name
        assert "apt install" in named(findings, name).remedy
    assert named(findings, "iverilog").state is State.OPTIONAL
    status, text = printed(findings, quiet=True)
    assert status == 1
    assert "Missing: C++ compiler, make, perl, Verilator." in text
    assert "iverilog" not in text


def test_compiler_that_cannot_compile_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_PROGRAM", "#include <no/such/header>\n")
    finding = named(doctor.check(), "C++ compiler")
    assert finding.state is State.MISSING
    assert "fails" in finding.found
    assert "no/such/header" in finding.found


@pytest.mark.parametrize("module", ["amaranth", "cocotbext.axi", "find_libpython"])
def test_package_that_is_not_installed(monkeypatch: pytest.MonkeyPatch, module: str) -> None:
    real = importlib.import_module

    def refuse(name: str, package: str | None = None) -> ModuleType:
        if name == module:
            raise ModuleNotFoundError(f"No module named '{name}'", name=name)
        return real(name, package)

    monkeypatch.setattr(importlib, "import_module", refuse)
    missing = [finding for finding in doctor.check() if finding.state is State.MISSING]
    assert len(missing) == 1
    assert missing[0].remedy == doctor.INSTALL


def test_python_without_shared_library(monkeypatch: pytest.MonkeyPatch) -> None:
    finder = importlib.import_module("find_libpython")
    monkeypatch.setattr(finder, "find_libpython", lambda: None)
    finding = named(doctor.check(), "shared libpython")
    assert finding.state is State.MISSING
    assert "apt install libpython3." in finding.remedy
    assert "--enable-shared" in finding.remedy


def test_full_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    class Usage:
        free = 1 << 30

    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage)
    finding = named(doctor.check(), "2 GiB of free disk")
    assert (finding.state, finding.found) == (State.MISSING, "1.0 GiB")


def test_verilator_environment_puts_the_package_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/usr/bin")
    monkeypatch.delenv("MAKEFLAGS", raising=False)
    environment = doctor.verilator_environment()
    assert environment["PATH"].startswith(f"{environment['VERILATOR_ROOT']}/bin:")
    assert environment["PATH"].endswith(":/usr/bin")
    assert environment["MAKEFLAGS"] == "CFG_CXXFLAGS_PCH_I=-include"
