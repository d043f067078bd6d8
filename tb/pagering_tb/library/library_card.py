"""A card of verilated RTL in this process."""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import re
import weakref
from collections.abc import Iterator, Sequence

from pagering import abi
from pagering.errors import CardError, CardGone
from pagering_hdl.config import CardConfig

from .boundary import place
from .build import build_library
from .harness_interface import Counters, Options, Status, load
from .pinned import PinnedBuffer

__all__ = ["DMA_PAGE", "MEMORY_LATENCY", "AccessError", "LibraryCard"]

DMA_PAGE = 4096
"""What is mapped begins and ends at multiples of it."""
MEMORY_LATENCY = 16
_WIRE_FRAMES = 256
_FRAME_BYTES_MAX = 1 << 16
_ASSERTION = re.compile(r"assertion at line (\d+)")


class AccessError(CardError):
    """The card answered a register access with an error."""


class LibraryCard:
    """The card, its clock, and the world right around it.

    Nothing happens by itself: time passes while a register is accessed and in :meth:`run`. One
    thread at a time may use it; during a call others can run. A card whose assertion fails is gone:
    every call raises :class:`~pagering.errors.CardGone` from then on.

    Parameters
    ----------
    config
        What the card is made of. It is built if it was not before, which takes minutes.
    asserts
        Whether its assertions are watched.
    latency
        Cycles from the end of a write to its answer, and from a read to its data.
    wire_frames
        How many frames may wait to go in.

    Raises
    ------
    SimulatorError
        If it cannot be built.
    ValueError
        If a number cannot be.

    """

    def __init__(self, config: CardConfig, *, asserts: bool = True,
                 latency: int = MEMORY_LATENCY, wire_frames: int = _WIRE_FRAMES) -> None:
        if latency < 1 or wire_frames < 1:
            raise ValueError(f"latency and wire_frames must be 1 or more, not {latency} and "
                             f"{wire_frames}")
        self.config = config
        self._pinned: dict[int, PinnedBuffer] = {}
        self._bus_master = True
        self._built = build_library(config, asserts)
        self._library = load(self._built.library)
        options = Options(lines=config.queues + 1, latency=latency, frames=wire_frames,
                          settle=_settle_cycles(config, latency), longest=_longest_timer())
        self._closed = False
        self._handle: int = self._library.card_open(ctypes.byref(options))
        # Not at the end of the process: another thread may be in a call.
        weakref.finalize(self, self._library.card_free, self._handle).atexit = False
        self._do("quiet")

    # Registers

    def read32(self, offset: int) -> int:
        """Read a register.

        Raises
        ------
        AccessError
            If the card answers with an error.

        """
        value = ctypes.c_uint32()
        status = self._do("read", _checked(offset), ctypes.byref(value))
        self._check_answer(status, f"the read of register 0x{offset:05x}")
        return value.value

    def write32(self, offset: int, value: int) -> None:
        """Write a register.

        Raises
        ------
        AccessError
            If the card answers with an error.

        """
        self.write_words(offset, (value,))

    def write_words(self, offset: int, values: Sequence[int]) -> None:
        """Write successive registers, each in an access of its own.

        Raises
        ------
        AccessError
            If the card answers with an error. The rest is not written then.

        """
        count = len(values)
        written = ctypes.c_size_t()
        status = self._do("write", _checked(offset, count), (ctypes.c_uint32 * count)(*values),
                          count, ctypes.byref(written))
        self._check_answer(status, f"the write of register 0x{offset + 4 * written.value:05x}")

    # Memory and interrupts

    def map(self, address: int, memory: bytes | bytearray | memoryview | mmap.mmap,
            writable: bool = True) -> None:
        """Let the card reach memory, which stays where it is until it is unmapped.

        Raises
        ------
        CardError
            If the memory or its address is not of whole pages, or some of these addresses are
            mapped already.
        BufferError
            If the memory is to be writable and is not.

        """
        pinned = PinnedBuffer(memory, writable)
        size = pinned.size
        whole = size > 0 and address % DMA_PAGE == size % DMA_PAGE == 0
        if not whole or not 0 <= address <= (1 << 64) - size:
            pinned.release()
            raise CardError(f"{size} bytes at 0x{address:x} cannot be mapped: address and size "
                            f"must be multiples of {DMA_PAGE}, within 64 bits")
        if self._do("map", address, pinned.address, size, writable) != Status.DONE:
            pinned.release()
            raise CardError(f"addresses from 0x{address:x} on are mapped already")
        self._pinned[address] = pinned

    def unmap(self, address: int) -> None:
        """End what :meth:`map` of this address began. The card does not reach it any more.

        Raises
        ------
        CardError
            If nothing is mapped from there on.

        """
        if self._do("unmap", address) != Status.DONE:
            raise CardError(f"nothing is mapped from 0x{address:x} on")
        self._pinned.pop(address).release()

    @property
    def mapped(self) -> tuple[int, ...]:
        """The addresses at which memory is mapped."""
        return tuple(sorted(self._pinned))

    @property
    def bus_master(self) -> bool:
        """Whether the card reaches memory at all; if not, all it asks for is answered by errors."""
        return self._bus_master

    @bus_master.setter
    def bus_master(self, on: bool) -> None:
        self._do("bus_master", on)
        self._bus_master = on

    def interrupt(self, vector: int, descriptor: int | None) -> None:
        """Signal an eventfd whenever a line rises; None signals nobody.

        Raises
        ------
        CardError
            If there is no such line or descriptor.

        """
        if not 0 <= vector <= self.config.queues:
            raise CardError(f"the card has interrupts 0 to {self.config.queues}, not {vector}")
        if self._do("connect", vector, -1 if descriptor is None else descriptor) != Status.DONE:
            raise CardError(f"interrupt {vector} cannot be signalled to descriptor {descriptor}: "
                            f"it is not open")

    def interrupts(self, vector: int) -> int:
        """Return how often a line has risen."""
        edges = ctypes.c_uint64()
        self._do("edges", vector, ctypes.byref(edges))
        return edges.value

    # The wire

    def send(self, frame: bytes, bad: bool = False) -> bool:
        """Queue a frame for the wire; return False if there is no room for it.

        Raises
        ------
        ValueError
            If it is no frame.

        """
        if not 0 < len(frame) <= _FRAME_BYTES_MAX:
            raise ValueError(f"a frame has 1 to {_FRAME_BYTES_MAX} bytes, not {len(frame)}")
        return self._do("send", bytes(frame), len(frame), bad) == Status.DONE

    @property
    def waiting(self) -> int:
        """Frames that have not wholly gone in."""
        waiting = ctypes.c_uint64()
        self._do("waiting", ctypes.byref(waiting))
        return waiting.value

    def set_gap(self, cycles: int) -> None:
        """Keep the wire silent for so long after each frame."""
        self._do("gap", cycles)

    # Time

    def run(self, cycles: int) -> int:
        """Let so many cycles pass; return how many did.

        Fewer do if the card becomes quiet, or somebody is :meth:`asking` for it.
        """
        passed = ctypes.c_uint64()
        self._do("run", cycles, ctypes.byref(passed))
        return passed.value

    @contextlib.contextmanager
    def asking(self) -> Iterator[None]:
        """Let :meth:`run` return at once, meanwhile: it is another thread's turn."""
        self._library.card_ask(self._handle, 1)
        try:
            yield
        finally:
            self._library.card_ask(self._handle, -1)

    @property
    def quiet(self) -> bool:
        """Whether nothing would happen however long it ran.

        No transfer is under way, no timer runs, and the wire is empty or the card does not take
        what waits there.
        """
        return self._do("quiet") == Status.DONE

    def reset(self) -> None:
        """Reset the card through its pin, and forget what is in flight and on the wire.

        What is mapped stays so; who hears of interrupts, too.
        """
        self._do("reset")

    @property
    def cycles(self) -> int:
        """Cycles since the card was opened."""
        return self.counters.cycles

    @property
    def counters(self) -> Counters:
        """What happened so far."""
        counters = Counters()
        self._do("counters", ctypes.byref(counters))
        return counters

    def close(self) -> None:
        """Let go of the card and of all memory. Again does nothing."""
        self._closed = True
        self._library.card_close(self._handle)
        for pinned in self._pinned.values():
            pinned.release()
        self._pinned.clear()

    def _do(self, what: str, *arguments: object) -> Status:
        """Call a function of the library; raise if the card is gone."""
        if self._closed:
            raise CardGone("the simulated card is closed")
        status = Status(getattr(self._library, f"card_{what}")(self._handle, *arguments))
        if status is Status.BROKEN:
            raise CardGone(self._why())
        return status

    def _why(self) -> str:
        """Say what broke the card."""
        error = self._library.card_error(self._handle).decode()
        if match := _ASSERTION.fullmatch(error):
            text = self._built.verilog
            module = place(text.read_text(encoding="utf-8"), int(match[1]))
            error = f"an assertion failed in {module} (line {match[1]} of {text})"
        return f"the simulated card broke: {error}"

    def _check_answer(self, status: Status, what: str) -> None:
        if status is Status.NO_ANSWER:
            raise CardError(f"the card did not answer {what}")
        if status is not Status.DONE:
            name = {Status.SLAVE_ERROR: "SLVERR", Status.DECODE_ERROR: "DECERR"}[status]
            raise AccessError(f"the card answered {what} with {name}")


def _checked(offset: int, count: int = 1) -> int:
    if offset % 4 or not 0 <= offset <= (1 << abi.WINDOW_ADDRESS_BITS) - 4 * count:
        raise CardError(f"{count} words at offset {offset:#x} are not aligned words of the card's "
                        f"window")
    return offset


def _settle_cycles(config: CardConfig, latency: int) -> int:
    """Return for how long a card may look around, and do nothing on its ports, before it acts.

    The longest round is that of the count mirror: for each pool it waits until its turn has come.
    """
    return 512 + latency + config.pools * (config.pools + 8)


def _longest_timer() -> int:
    """Return more cycles than any timer of the card has."""
    return (2 << abi.QUEUE["MODERATION"]["time"].width) * abi.MODERATION_CYCLES
