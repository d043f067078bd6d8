"""``--device model``: the in-memory card with traffic of its own, to try the commands with.

No hardware and no simulation of any: what is received here went through the software twin. Frames
come from a capture, once, or are made up, without end. Time is the host's.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from pagering.capture import read_frames
from pagering.fake import FakeCard
from pagering.traffic import made_up_frames
from pagering.transport import DmaMemory

__all__ = ["ModelCard"]

_FRAMES_PER_SECOND = 1000
_NAP_S = 0.005
_BACKLOG = 64
"""Most frames that come at once: a host that was away longer has missed the others' time."""


class ModelCard:
    """A card on whose wire frames come while the host waits; a transport.

    Parameters
    ----------
    capture
        A file of frames; None for frames that are made up.
    rate
        Frames in a second.

    Raises
    ------
    CaptureError
        If the file cannot be read.

    """

    def __init__(self, capture: str | None = None, rate: float = _FRAMES_PER_SECOND) -> None:
        self._frames: Iterator[bytes] = (
            made_up_frames() if capture is None else iter(read_frames(capture).frames))
        self._fake = FakeCard(queues=4, pools=2, regions=8, region_pages=64, chunk_bytes=1024)
        self._over = False
        self._rate = rate
        self._seen = self._due = time.monotonic()

    def send(self, frame: bytes) -> None:
        """Bring a frame to the wire."""
        self._pass_time()
        self._fake.inject(frame)

    def ended(self) -> bool:
        """Return whether the capture is over."""
        return self._over

    # Transport

    def read32(self, offset: int) -> int:
        """Read a register."""
        self._pass_time()
        return self._fake.read32(offset)

    def write32(self, offset: int, value: int) -> None:
        """Write a register."""
        self._fake.write32(offset, value)

    def write_tokens(self, offset: int, tokens: Sequence[int]) -> None:
        """Store tokens to successive words of one return window."""
        self._fake.write_tokens(offset, tokens)

    def allocate(self, size: int, align: int = 4096) -> DmaMemory:
        """Return zeroed memory."""
        return self._fake.allocate(size, align)

    def wait_interrupt(self, vector: int, timeout: float | None = None) -> bool:
        """Let traffic come until ``vector`` is raised, or ``timeout`` seconds have passed."""
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            self._traffic()
            if self._fake.state.raised[vector]:
                return self._fake.wait_interrupt(vector)
            now = time.monotonic()
            if end is not None and now >= end:
                return False
            time.sleep(_NAP_S if end is None else min(_NAP_S, end - now))

    def close(self) -> None:
        """Let go of the card."""
        self._fake.close()

    # Traffic

    def _traffic(self) -> None:
        """Bring the frames that are due."""
        now = time.monotonic()
        self._pass_time()
        if not self._fake.state.receive:
            self._due = now
            return
        self._due = max(self._due, now - _BACKLOG / self._rate)
        while self._due < now and not self._over:
            frame = next(self._frames, None)
            if frame is None:
                self._over = True
            else:
                self._fake.inject(frame)
                self._due += 1 / self._rate

    def _pass_time(self) -> None:
        khz = self._fake.config.clock_khz
        cycles = int((time.monotonic() - self._seen) * 1000 * khz)
        self._seen += cycles / (1000 * khz)
        self._fake.advance(cycles)
