"""The command: its help shows every option, and a bad value is one sentence and status 2."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
from typer.testing import CliRunner

from pagering import abi, reference
from pagering.cli import app
from pagering.errors import PageringError
from pagering.sim_options import SimOptions

SIM_OPTIONS = ("--bus --queues --pools --pages --page-size --chunk --policy --ring --latency "
               "--stalls --host-delay --moderation --seed --waves --simulator --clock --steering "
               "--rss --rss-key --rule --rules --split-headers --hold --timestamps --returns "
               "--out").split()


def run(*words: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, words, env={"COLUMNS": "200", "TERM": "dumb"})
    assert result.exception is None or isinstance(result.exception, SystemExit)
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[SimOptions]:
    """Stand in for the bench: keep the options of each run."""
    calls: list[SimOptions] = []

    def keep(options: SimOptions) -> int:
        calls.append(options)
        return 0 if options.seed else 1

    module = ModuleType("pagering_tb.sim")
    monkeypatch.setattr(module, "run", keep, raising=False)
    monkeypatch.setitem(sys.modules, "pagering_tb.sim", module)
    return calls


def test_help_lists_every_subcommand_and_option() -> None:
    status, text, _ = run("--help")
    assert status == 0
    for name in ("sim", "generate", "bench", "bench-driver", "formal", "doctor"):
        assert re.search(rf"\b{name}\b", text)
    status, text, _ = run("sim", "--help")
    assert status == 0
    for option in SIM_OPTIONS:
        assert f"{option} " in text, option


def test_defaults(runs: list[SimOptions]) -> None:
    assert run("sim")[0] == 0
    assert runs == [SimOptions()]


def test_every_option_arrives(runs: list[SimOptions]) -> None:
    status, _, _ = run(
        "sim", "in.pcap", "--bus", "512", "--queues", "8", "--pools", "2", "--pages", "4096",
        "--page-size", "16384", "--chunk", "2048", "--policy", "lifo", "--ring", "128",
        "--latency", "250", "--stalls", "0.25", "--host-delay", "5000", "--seed", "9", "--waves",
        "--simulator", "icarus", "--clock", "250", "--steering", "fixed:7", "--out", "results",
        "--moderation", "12.5:32", "--timestamps", "--returns", "auto")
    assert status == 0
    assert runs == [SimOptions(
        pcap=Path("in.pcap"), out=Path("results"), bus_bits=512, queues=8, pools=2, pages=4096,
        page_bytes=16384, chunk_bytes=2048, policy="lifo", ring_entries=128, latency=250,
        stalls=0.25, host_delay=5000, seed=9, waves=True, simulator="icarus", clock_mhz=250.0,
        steering="fixed:7", moderation="12.5:32", timestamps=True, returns="auto")]
    assert runs[0].moderation_limits == (12.5, 32)
    assert (runs[0].steering_mode, runs[0].steering_queue) == (abi.SteeringMode.FIXED, 7)


def test_rules_come_from_words_and_from_a_file(runs: list[SimOptions], tmp_path: Path) -> None:
    path = tmp_path / "rules.txt"
    path.write_text("# ours\ntcp dst port 80 -> queue 2  # the web\n\nudp -> drop\n")
    assert run("sim", "--rss", "--rss-key", "symmetric", "--rule", "vlan 5 -> queue 1",
               "--rule", "arp -> queue 0", "--rules", str(path))[0] == 0
    assert runs == [SimOptions(
        steering="rss", rss_key="symmetric", rules=(
            "vlan 5 -> queue 1", "arp -> queue 0", "tcp dst port 80 -> queue 2", "udp -> drop"))]
    assert runs[0].steering_mode is abi.SteeringMode.RSS
    assert runs[0].rss_key_bytes == bytes.fromhex("6d5a") * 20
    assert SimOptions.from_json(runs[0].to_json()) == runs[0]


def test_a_rule_to_no_queue(runs: list[SimOptions]) -> None:
    assert run("sim", "--rule", "tcp -> queue 4") == (
        2, "", "pagering: flow rule 'tcp -> queue 4': the card has queues 0 to 3, not 4\n")


def test_pools_and_chunk_follow_queues_and_page(runs: list[SimOptions]) -> None:
    run("sim", "--queues", "2", "--page-size", "8192")
    assert (runs[0].pools, runs[0].chunk_bytes) == (2, 8192)


def test_exit_status_is_that_of_the_run(runs: list[SimOptions]) -> None:
    assert run("sim", "--seed", "0")[0] == 1


@pytest.mark.parametrize(("words", "sentence"), [
    ("--bus 96", "--bus must be 64, 128, 256 or 512, not 96"),
    ("--queues 65", "--queues must be from 1 to 64, not 65"),
    ("--queues 2 --pools 3", "--pools must be from 1 to 2 (no more than --queues), not 3"),
    ("--page-size 5000", "--page-size must be a power of two from 4096 to 65536, not 5000"),
    ("--chunk 8192", "--chunk must be a power of two from 64 to 4096, not 8192"),
    ("--page-size 65536 --chunk 512",
     "--chunk must be a power of two from 1024 to 65536, not 512"),
    ("--pages 1000", "--pages must be a power of two from 4 to 65536, not 1000"),
    ("--queues 33 --pages 32", "--pages must be a power of two from 64 to 65536, not 32"),
    ("--policy random", "--policy must be fifo or lifo, not random"),
    ("--ring 100", "--ring must be a power of two from 64 to 65536, not 100"),
    ("--latency -1", "--latency must be from 0 to 100000, not -1"),
    ("--stalls 1", "--stalls must be from 0 to 0.95, not 1.0"),
    ("--stalls nan", "--stalls must be from 0 to 0.95, not nan"),
    ("--host-delay -5", "--host-delay must be from 0 to 10000000, not -5"),
    ("--seed -1", "--seed must be from 0 to 4294967295, not -1"),
    ("--clock 0", "--clock must be from 1 to 2000 (MHz), not 0.0"),
    ("--returns post", "--returns must be push, pull or auto, not post"),
    ("--simulator questa", "--simulator must be verilator or icarus, not questa"),
    *((f"--moderation {words}", f"--moderation must be USECS:FRAMES, up to 4193.28 microseconds "
                                f"and 4095 frames, not {words}")
      for words in ("5", "5:", ":5", "nan:0", "0:4096", "4194:0", "-1:0", "0:1.5")),
    ("--steering fixed:4",
     "--steering must be round-robin, rss, or fixed:Q with a queue from 0 to 3, not fixed:4"),
    ("--steering fixed:x",
     "--steering must be round-robin, rss, or fixed:Q with a queue from 0 to 3, not fixed:x"),
    ("--rss-key 6d5a",
     "--rss-key must be microsoft, symmetric or 80 hexadecimal digits, not 6d5a"),
    ("--rss --queues 33 --pools 1", "--rss spreads over 32 queues at most, not 33"),
    ("--rule tcp", "flow rule 'tcp': it has no ->; write what to match -> queue N, or -> drop"),
    ("--rules none.txt", "--rules none.txt cannot be read: No such file or directory"),
])
def test_bad_value_is_one_sentence(runs: list[SimOptions], words: str, sentence: str) -> None:
    assert run("sim", *words.split()) == (2, "", f"pagering: {sentence}\n")
    assert not runs


def test_error_of_the_run_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(options: SimOptions) -> int:
        raise PageringError("x" * 300 + " [not markup]")

    monkeypatch.setitem(sys.modules, "pagering_tb.sim", SimpleNamespace(run=fail))
    assert run("sim") == (2, "", f"pagering: {'x' * 300} [not markup]\n")


@pytest.mark.parametrize("words", [("sim",), ("bench",), ("generate", "-o", "rx.v")])
def test_without_the_simulation_packages(monkeypatch: pytest.MonkeyPatch,
                                         words: tuple[str, ...]) -> None:
    for name in ("pagering_tb.sim", "pagering_tb.sim_bench", "pagering_hdl.generate"):
        monkeypatch.setitem(sys.modules, name, None)
    status, _, errors = run(*words)
    assert status == 2
    assert re.fullmatch(r"pagering: this needs pagering_\w+\.\w+, which is not installed; get it "
                        r"in a checkout of Pagering: pip install .+\n", errors)


@pytest.mark.parametrize("options", [SimOptions(), SimOptions(pcap=Path("a.pcap"), stalls=0.5)])
def test_options_cross_a_process_boundary(options: SimOptions) -> None:
    assert SimOptions.from_json(options.to_json()) == options


@pytest.mark.parametrize(("pages", "pools", "expected"), [
    (1024, 4, 64), (65536, 4, 256), (2, 1, 2), (64, 64, 1), (64, 33, 1), (128, 5, 16)])
def test_every_pool_gets_a_region(pages: int, pools: int, expected: int) -> None:
    options = SimOptions(pages=pages, pools=pools, queues=64).validate()
    assert options.region_pages == expected
    assert pools <= pages // options.region_pages <= abi.REGION_SLOTS_MAX


def test_generate_writes_the_reference_beside_the_verilog(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def write(config: object, path: Path) -> None:
        path.write_text("module rx; endmodule\n")

    monkeypatch.setitem(sys.modules, "pagering_hdl.generate", SimpleNamespace(write=write))
    target = tmp_path / "rx.v"
    status, text, _ = run("generate", "-o", str(target), "--bus", "128")
    assert status == 0
    assert text.split() == [str(tmp_path / name)
                            for name in ("rx.v", "rx_registers.md", "rx_registers.h")]
    assert (tmp_path / "rx_registers.h").read_text() == reference.c_header()
    status, _, errors = run("generate", "-o", str(tmp_path / "missing" / "rx.v"))
    assert status == 2
    assert "cannot be written: No such file or directory" in errors


def test_doctor_reports() -> None:
    status, text, _ = run("doctor")
    assert status == 0
    assert "Verilator" in text
