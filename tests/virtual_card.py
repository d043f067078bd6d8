"""A virtual card in a thread of the test, or in a process of its own."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import AnyStr

from pagering_tb.virtual.core import CardCore
from pagering_tb.virtual.model_core import ModelCore
from pagering_tb.virtual.server import CardServer
from pagering_tb.virtual.sources import FrameSource

ROOT = Path(__file__).resolve().parents[1]
SOURCES = [str(ROOT / name) for name in ("sw", "hdl", "tb", "tests")]
"""What a process of its own needs on its path."""


class Wire:
    """A source of frames that the test's thread puts on it, whether the card receives or not."""

    def __init__(self) -> None:
        self._frames: deque[bytes] = deque()
        self._read, self._write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def put(self, frame: bytes) -> None:
        self._frames.append(frame)
        os.write(self._write, b".")

    def feed(self, send: Callable[[bytes], bool]) -> None:
        while self._frames and send(self._frames[0]):
            self._frames.popleft()
            os.read(self._read, 1)

    def skip(self) -> None:
        """Wait for the card."""

    def seconds_to_next(self) -> float | None:
        return None

    def fileno(self) -> int | None:
        return self._read

    def close(self) -> None:
        os.close(self._read)
        os.close(self._write)


@contextlib.contextmanager
def served(path: Path, core: CardCore | None = None, source: FrameSource | None = None,
           log: list[str] | None = None) -> Iterator[CardServer]:
    """Serve a card in a thread."""
    told: list[str] = [] if log is None else log
    server = CardServer(core or ModelCore(), str(path), source, told.append)
    thread = threading.Thread(target=server.serve, daemon=True)  # a card that hangs ends with us
    thread.start()
    try:
        yield server
    finally:
        server.stop()
        thread.join(20)
        assert not thread.is_alive()
        server.close()


_PROCESS = """
import sys
from pathlib import Path
from pagering_tb.virtual.command import serve
from pagering_tb.virtual.model_core import ModelCore
path, pcap = sys.argv[1:]
sys.exit(serve(Path(path), (), Path(pcap) if pcap else None, None, None,
               lambda config: ModelCore(region_pages=64)))
"""


@contextlib.contextmanager
def killed_at_last(process: subprocess.Popen[AnyStr]) -> Iterator[subprocess.Popen[AnyStr]]:
    """End the process with the block: one that a failed test left would be waited for forever."""
    with process:
        try:
            yield process
        finally:
            process.kill()


@contextlib.contextmanager
def card_process(path: Path, pcap: Path | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """Serve the software twin in a process, as ``pagering card`` serves the RTL."""
    with killed_at_last(subprocess.Popen(
            [sys.executable, "-c", _PROCESS, str(path), str(pcap or "")], stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(SOURCES)})) as card:
        end = time.monotonic() + 30
        while not path.exists():
            assert card.poll() is None, "the card's process ended"
            assert time.monotonic() < end, "no card is served"
            time.sleep(0.01)
        yield card
