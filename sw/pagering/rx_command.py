"""``pagering rx``: receive, print a line for each frame, write a capture."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

from rich.console import Console

from pagering.burst import Burst
from pagering.capture_writer import CaptureWriter
from pagering.devices import Device
from pagering.frame_text import date_text, frame_text
from pagering.receive_session import ReceiveSession

__all__ = ["receive"]

_REST_S = 0.1


class _Receiver:
    """What becomes of the frames that come."""

    def __init__(self, writer: CaptureWriter | None, console: Console | None) -> None:
        self._writer, self._console = writer, console
        self.frames = self.bytes = 0

    def take(self, burst: Burst) -> None:
        """Print and write a burst."""
        for frame in burst:
            self.frames += 1
            self.bytes += len(frame)
            if self._console is None and self._writer is None:
                continue
            data, date = bytes(frame), frame.timestamp or 0
            if self._console is not None:
                broken = ", badly written" if frame.write_error else ""
                self._console.print(f"{date_text(date)} {frame.queue} {frame_text(data)}{broken}",
                                    highlight=False, markup=False, soft_wrap=True)
            if self._writer is not None:
                self._writer.put(data, date)


def receive(device: Device, *, queues: int | None = None, count: int | None = None,
            seconds: float | None = None, write: Path | None = None, quiet: bool = False,
            console: Console | None = None) -> int:
    """Receive until ``count`` frames or ``seconds`` are over, or the device's frames; return 0.

    Parameters
    ----------
    device
        The card.
    queues
        How many it receives on.
    write
        The capture to write.
    quiet
        Print no frames.

    Raises
    ------
    PageringError
        If the card cannot be opened, or the capture not be written.

    """
    console = console or Console()
    with contextlib.ExitStack() as stack:
        writer = None if write is None else stack.enter_context(CaptureWriter(write))
        session = stack.enter_context(ReceiveSession(device, queues))
        taken = _Receiver(writer, None if quiet else console)
        end = float("inf") if seconds is None else time.monotonic() + seconds
        with contextlib.suppress(KeyboardInterrupt):
            while time.monotonic() < end and taken.frames != count:
                left = None if count is None else count - taken.frames
                if not session.turn(taken.take, min(_REST_S, end - time.monotonic()), left):
                    break
        dropped = sum(session.card.drops().values())
    lines = [f"{taken.frames} frames, {taken.bytes} bytes received",
             f"{dropped} frames dropped by the card"]
    if writer is not None:
        lines.append(f"{writer.written} frames written to {write}, {writer.dropped} not, for the "
                     f"disk was too slow")
    for line in lines:
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    return 0
