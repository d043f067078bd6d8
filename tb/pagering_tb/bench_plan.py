"""What ``pagering bench`` measures: every frame size and memory latency at every bus width."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pagering_hdl.config import CardConfig

__all__ = ["IMIX", "PLAN", "QUICK_PLAN", "Job", "Point"]

IMIX = (64, 594, 64, 64, 594, 64, 1518, 64, 594, 64, 594, 64)
"""Frame sizes 7:4:1, in a sequence that repeats."""
_SIZES = (64, 128, 256, 512, 1024, 1518, 9018)
_LATENCIES = (4, 64, 250)


@dataclass(frozen=True)
class Point:
    """One measurement."""

    sizes: tuple[int, ...]
    """Of frames, in turn."""
    latency: int
    """Cycles that the memory takes to answer a write."""
    order: str = "fifo"
    """In which the host returns what it took: fifo, lifo or random."""

    @property
    def traffic(self) -> str:
        """What the frames are, in a word."""
        return "IMIX" if self.sizes == IMIX else "/".join(map(str, self.sizes))


@dataclass(frozen=True)
class Job:
    """One simulation: a card, and the points to measure with it."""

    config: CardConfig
    points: tuple[Point, ...]
    bars: bool = True
    """Whether a point that misses its bar is a failure."""
    cycles: int = 20_000
    """Shortest window of a point."""
    returns: str = "push"
    """Which way tokens go back: push or pull."""
    unloaded: bool = False
    """Measure how long one frame alone takes, too."""


def _points(latencies: Sequence[int] = _LATENCIES) -> tuple[Point, ...]:
    return tuple(Point(sizes, latency) for latency in latencies
                 for sizes in (*((size,) for size in _SIZES), IMIX))


def _packed(bits: int) -> int:
    """Return the chunk size that small frames are measured with: wide buses pack them in pages."""
    return 64 if bits >= 256 else 4096


def _plan() -> tuple[Job, ...]:
    """Return all jobs, the longest first."""
    return (
        *(Job(CardConfig(bus_bits=bits, chunk_bytes=_packed(bits)), _points((latency,)),
              unloaded=True)
          for bits in (64, 128, 256, 512) for latency in _LATENCIES),
        *(Job(CardConfig(bus_bits=bits, queues=8, chunk_bytes=_packed(bits)), tuple(
            Point((64,), 64, order) for order in ("random", "lifo", "fifo")),
            # A frame every 1.25 cycles is more than a window takes of tokens that do not merge.
            returns="pull" if bits == 512 else "push")
          for bits in (64, 128, 256, 512)),
        *(Job(CardConfig(chunk_bytes=chunk), (Point((64,), 64),)) for chunk in (64, 256)),
    )


PLAN = _plan()
QUICK_PLAN = (
    *(Job(CardConfig(), (Point((64,), latency), Point((1518,), latency)), cycles=5_000,
          unloaded=True) for latency in _LATENCIES),
    *(Job(CardConfig(bus_bits=bits, chunk_bytes=_packed(bits)), (Point((64,), 64),), cycles=5_000)
      for bits in (128, 256, 512)),
)
