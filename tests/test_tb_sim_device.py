"""``--device sim``: the driver in this process, the RTL in another."""

from __future__ import annotations

from pathlib import Path

import pytest

from pagering.capture import read_frames, write_frames
from pagering.errors import CardError
from pagering.traffic import made_up_frames
from pagering_hdl.config import CardConfig
from pagering_tb.runner import Result
from pagering_tb.sim_device import SimulatedCard
from pagering_tb.simulators import SimulatorError
from test_sw_cli import run

FRAMES = [frame for frame, _ in zip(made_up_frames(9), range(40), strict=False)]


@pytest.mark.slow
def test_the_simulated_card_passes_the_self_test() -> None:
    status, text, errors = run("selftest", "--device", "sim")
    assert (status, errors) == (0, ""), text
    assert "every byte right" in text
    assert "skipped" not in text


@pytest.mark.slow
def test_a_capture_goes_through_the_simulated_card(tmp_path: Path) -> None:
    source, target = tmp_path / "in.pcap", tmp_path / "out.pcap"
    write_frames(source, FRAMES)
    status, text, errors = run("rx", "-d", f"sim:{source}", "--queues", "1", "-q", "-w",
                               str(target))
    assert (status, errors) == (0, ""), text
    assert text.startswith(f"{len(FRAMES)} frames, {sum(map(len, FRAMES))} bytes received\n")
    assert read_frames(target).frames == FRAMES


@pytest.mark.slow
def test_errors_cross_the_process_boundary_and_a_dead_card_is_named() -> None:
    card = SimulatedCard(CardConfig(), iter(()))
    with pytest.raises(CardError, match="the card answered the read of register 0x0ffff?c with"):
        card.read32(0x0FFFC)
    with pytest.raises(CardError, match="cannot allocate 0 bytes"):
        card.allocate(0)
    block = card.allocate(64)
    block.free()
    block.free()
    card._connection.close()
    with pytest.raises(SimulatorError, match="the simulated card is gone"):
        card.read32(0)


def test_a_card_that_cannot_be_simulated(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def fail(*_: object, **__: object) -> Result:
        return Result((), {"serve": "it burst"}, tmp_path / "log", None, "")

    monkeypatch.setattr("pagering_tb.sim_device.build", lambda config: tmp_path)
    monkeypatch.setattr("pagering_tb.sim_device.simulate", fail)
    with pytest.raises(SimulatorError, match="the simulated card is gone: it burst"):
        SimulatedCard(CardConfig(), iter(()))
