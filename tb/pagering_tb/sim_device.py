"""``--device sim``: the RTL of the card, simulated, behind the driver's transport.

The simulation (:mod:`pagering_tb.device_main`) runs in a process of its own. Registers and
interrupts go over a socket, DMA memory is one file that both have mapped. Simulated time passes
while an access or a wait is under way and stands still else, so an idle card costs nothing; a wait
of so many seconds is one of the host's, in which the simulation gets as far as it can.

Frames come from a capture, once, or are made up, without end, while the host waits.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import mmap
import socket
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from pagering import abi
from pagering.capture import read_frames
from pagering.devices import Device
from pagering.errors import CardError
from pagering.traffic import made_up_frames
from pagering_hdl.config import CardConfig

from .runner import Result, build, simulate
from .simulators import SimulatorError

__all__ = ["JOB_VARIABLE", "SimulatedCard", "open_simulated"]

JOB_VARIABLE = "PAGERING_DEVICE_JOB"
"""Names the file that tells the simulation where its host is."""
MEMORY_BYTES = 1 << 28
_SLICE_CYCLES = 2000
_FRAMES_AHEAD = 8
_START_S = 60.0


class SharedBlock:
    """DMA memory; a :class:`pagering.transport.DmaMemory`."""

    def __init__(self, card: SimulatedCard, address: int, view: memoryview) -> None:
        self._card = card
        self.address = address
        self.view = view

    def free(self) -> None:
        """Unmap it."""
        self._card.free(self.address)


class SimulatedCard:
    """A transport to a simulation that it starts.

    Parameters
    ----------
    config
        The card; it is built if it was not before, which takes a minute or two.
    frames
        What comes on the wire while the host waits and the card receives.

    Raises
    ------
    SimulatorError
        If it cannot be built or started.

    """

    def __init__(self, config: CardConfig, frames: Iterator[bytes]) -> None:
        self._frames = frames
        self._over = self._receives = self._closed = False
        self._folder = tempfile.TemporaryDirectory(prefix="pagering-device-")
        self._scratch = Path(self._folder.name)
        self._ended: list[Result | BaseException] = []
        memory = self._scratch / "memory"
        with open(memory, "w+b") as file:
            file.truncate(MEMORY_BYTES)
            self._memory = mmap.mmap(file.fileno(), MEMORY_BYTES)
        self._config = config
        self._base = 0
        self._freed: set[int] = set()
        where = build(config)
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(self._scratch / "socket"))
            listener.listen(1)
            self._thread = threading.Thread(target=self._simulate, args=(where,), daemon=True)
            self._thread.start()
            self._connection = self._accept(listener)
        self._base = self._ask("base")

    def _simulate(self, where: Path) -> None:
        job = self._scratch / "job.json"
        job.write_text(json.dumps({"config": dataclasses.asdict(self._config),
                                   "folder": str(self._scratch)}), encoding="utf-8")
        try:
            self._ended.append(simulate(where, "pagering_tb.device_main", run_dir=self._scratch,
                                        extra={JOB_VARIABLE: str(job)}))
        except SimulatorError as error:
            self._ended.append(error)

    def _accept(self, listener: socket.socket) -> Connection[Any, Any]:
        """Wait for the simulation."""
        listener.settimeout(0.05)
        end = time.monotonic() + _START_S
        while not self._ended and time.monotonic() < end:
            with contextlib.suppress(TimeoutError):
                caller, _ = listener.accept()
                caller.settimeout(None)
                return Connection(caller.detach())
        raise self._broken()

    def _broken(self) -> SimulatorError:
        """Say why the simulation is not there."""
        self._thread.join(5)
        outcome = self._ended[0] if self._ended else None
        if isinstance(outcome, SimulatorError):
            return outcome
        failed = "; ".join(outcome.failed.values()) if isinstance(outcome, Result) else ""
        return SimulatorError(f"the simulated card is gone: {failed or 'it did not answer'}")

    def _ask(self, what: str, *args: object) -> Any:
        """Have the simulation do something; return its answer."""
        try:
            self._connection.send((what, args))
            good, answer = self._connection.recv()
        except (OSError, EOFError) as error:
            raise self._broken() from error
        if not good:
            raise CardError(answer)
        return answer

    # Transport

    def read32(self, offset: int) -> int:
        """Read a register."""
        return int(self._ask("read32", offset))

    def write32(self, offset: int, value: int) -> None:
        """Write a register."""
        if offset == abi.CARD.address("CONTROL"):
            self._receives = bool(abi.CARD["CONTROL"].unpack(value)["receive"])
        self._ask("write32", offset, value)

    def write_tokens(self, offset: int, tokens: Sequence[int]) -> None:
        """Store tokens, a write each."""
        self._ask("write_tokens", offset, list(tokens))

    def allocate(self, size: int, align: int = 4096) -> SharedBlock:
        """Return memory that the simulation has mapped too."""
        address = int(self._ask("allocate", size, align))
        start = address - self._base
        return SharedBlock(self, address, memoryview(self._memory)[start:start + size])

    def free(self, address: int) -> None:
        """Take a block back; again does nothing."""
        if not self._closed and address not in self._freed:
            self._ask("free", address)
            self._freed.add(address)

    def wait_interrupt(self, vector: int, timeout: float | None = None) -> bool:
        """Let simulated time pass until ``vector`` is raised, or the host's seconds are over."""
        end = None if timeout is None else time.monotonic() + timeout
        while True:
            self._traffic()
            if self._ask("wait_interrupt", vector, _SLICE_CYCLES):
                return True
            if end is not None and time.monotonic() >= end:
                return False

    def close(self) -> None:
        """End the simulation. Again does nothing.

        Raises
        ------
        CardError
            If the card did to the host's memory what it must not.

        """
        if self._closed:
            return
        problems = self._ask("problems")
        self._closed = True
        self._connection.close()
        self._thread.join(10)
        self._folder.cleanup()
        with contextlib.suppress(BufferError):  # a view that is still held keeps it
            self._memory.close()
        if problems:
            raise CardError(f"the simulated card misbehaved: {'; '.join(problems)}")

    # The wire

    def send(self, frame: bytes) -> None:
        """Put a frame on the wire."""
        self._ask("send", frame)

    def ended(self) -> bool:
        """Return whether all frames of the capture have gone in."""
        return self._over and bool(self._ask("quiet"))

    def _traffic(self) -> None:
        """Keep a few frames on the wire."""
        if not self._receives or self._over:
            return
        for _ in range(_FRAMES_AHEAD - int(self._ask("on_wire"))):
            frame = next(self._frames, None)
            if frame is None:
                self._over = True
                return
            self.send(frame)


def open_simulated(name: str, capture: str) -> Device:
    """Open ``sim`` or ``sim:FILE``: the reference card.

    Raises
    ------
    PageringError
        If the capture cannot be read, or the card not be built or simulated.

    """
    frames = iter(read_frames(capture).frames) if capture else made_up_frames()
    card = SimulatedCard(CardConfig(), frames)
    return Device(name, card, card.send, card.ended)
