"""``pagering bench-card``: frames a second from the wire of a simulated card to a driver.

The card is compiled RTL in a process of its own, behind its socket; the driver is in this one. The
wire is never silent: frames of 64 bytes, FCS included, come as fast as the card takes them. A
driver waits, receives arrays and returns all memory. Beside the time on the clock stands that of
the card's processor, for a machine that is busy with something else tells more of that than of us.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from pagering.card import Card
from pagering.figures import write_figures
from pagering.traffic import udp_or_tcp
from pagering.vfio_user import VfioUserCard
from pagering_hdl.config import CardConfig
from pagering_tb.library import LibraryCard
from pagering_tb.paced_source import PacedSource

from .server import CardServer

__all__ = ["CYCLES_TARGET", "FRAMES_TARGET", "Speed", "run"]

FRAMES_TARGET = 30_000
"""Frames a second from socket driver end to end, on two cores."""
CYCLES_TARGET = 700_000
"""Cycles a second that the card is simulated at."""
_FRAME_BYTES = 60
_FLOWS = 64
_WAYS = ("push", "pull", "auto")
_BURST_FRAMES = 256
_PAGES = 1024
_SECONDS, _QUICK_SECONDS = 5.0, 1.0
_START_S = 120.0
_UDP, _DNS = 17, 53


@dataclass(frozen=True)
class Speed:
    """One way of returning memory."""

    returns: str
    frames: int
    seconds: float
    card_seconds: float
    """Of the processor, that the card has taken."""
    cycles: int

    @property
    def frames_per_second(self) -> float:
        """What the driver has seen."""
        return self.frames / self.seconds

    @property
    def cycles_per_second(self) -> float:
        """How fast the card was, its socket, its wire and its memory with it."""
        return self.cycles / self.card_seconds

    @property
    def frames_per_card_second(self) -> float:
        """Frames for a second of a processor that is the card's alone."""
        return self.frames / self.card_seconds


def _frames() -> Iterator[bytes]:
    return itertools.cycle([udp_or_tcp(_UDP, 0xC6336401, 0xCB007101 + flow, 1024 + flow, _DNS,
                                       _FRAME_BYTES) for flow in range(_FLOWS)])


def _measure(returns: str, seconds: float) -> Speed:
    with tempfile.TemporaryDirectory(prefix="pagering-bench-") as folder:
        path = str(Path(folder) / "card")
        sources = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}  # the same as ours
        with subprocess.Popen([sys.executable, "-m", "pagering_tb.virtual.bench", path],
                              env=os.environ | sources, stdout=subprocess.PIPE,
                              text=True) as card:
            try:
                frames, taken = _receive(path, returns, seconds)
            finally:
                card.terminate()
                used = json.loads((card.stdout.read() if card.stdout else "") or "null")
    return Speed(returns, frames, taken, **used)


def _receive(path: str, returns: str, seconds: float) -> tuple[int, float]:
    """Return how many frames came in how many seconds."""
    with Card(VfioUserCard(path, patience=_START_S)) as card:
        queue = card.add_queue(card.add_pool(_PAGES), _PAGES, returns=returns)
        card.steer_to(queue.index)
        card.receive = True
        frames = 0
        start = time.perf_counter()
        while (now := time.perf_counter()) < start + seconds:
            with queue.recv_arrays(_BURST_FRAMES, timeout=_START_S) as burst:
                frames += len(burst)
        return frames, now - start


def _serve(path: str) -> None:
    """Be the card, until terminated; then tell what it took while it received."""
    core = LibraryCard(CardConfig())
    server = CardServer(core, path, PacedSource(_frames(), None))
    signal.signal(signal.SIGTERM, lambda _number, _frame: server.stop())
    cycles, used = core.cycles, time.process_time()
    server.serve()
    taken = {"cycles": core.cycles - cycles, "card_seconds": time.process_time() - used}
    os.write(sys.stdout.fileno(), json.dumps(taken).encode())
    server.close()


def run(path: Path, quick: bool = False, console: Console | None = None) -> int:
    """Measure, print the table, write the JSON; return 1 if a target was missed, else 0.

    The clock's time must reach the target of frames, the processor's that of cycles.

    Raises
    ------
    PageringError
        If the JSON cannot be written, or the card not be built.

    """
    console = console or Console()
    with console.status("Building the card ..."):
        LibraryCard(CardConfig()).close()
    with console.status("Receiving ..."):
        speeds = [_measure(returns, _QUICK_SECONDS if quick else _SECONDS) for returns in _WAYS]
    write_figures(path, [{**dataclasses.asdict(speed),
                          "frames_per_second": speed.frames_per_second,
                          "cycles_per_second": speed.cycles_per_second} for speed in speeds])
    console.print(_table(speeds))
    console.print(f"\nThe figures are in {path}", style="dim", highlight=False, soft_wrap=True)
    return 0 if (max(speed.frames_per_second for speed in speeds) >= FRAMES_TARGET
                 and max(speed.cycles_per_second for speed in speeds) >= CYCLES_TARGET) else 1


def _table(speeds: list[Speed]) -> Table:
    table = Table(title="Frames of 64 bytes through a simulated card to a driver",
                  caption=f"targets: {FRAMES_TARGET:,} frames/s, {CYCLES_TARGET:,} cycles/s",
                  box=box.SIMPLE_HEAD, padding=0)
    for name in ("returns", "frames/s", "cycles/s", "frames/s of the card's processor"):
        table.add_column(name, justify="left" if name == "returns" else "right", no_wrap=True)
    for speed in speeds:
        table.add_row(speed.returns, f"{speed.frames_per_second:,.0f}",
                      f"{speed.cycles_per_second:,.0f}", f"{speed.frames_per_card_second:,.0f}")
    return table


if __name__ == "__main__":
    _serve(sys.argv[1])
