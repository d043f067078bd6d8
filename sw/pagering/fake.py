"""A whole card in memory: a software twin that implements ``Transport``.

It follows the contract of :mod:`pagering.abi` frame by frame, so a test can drive the real driver
against it and a simulation can be compared with it. Nothing happens by itself: ``inject`` brings a
frame, with ``defer_completions`` its completions stay back until ``release_completions``, and
time passes by ``advance``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

from pagering import abi
from pagering.abi import DropCause
from pagering.capabilities import Capabilities
from pagering.errors import CardError
from pagering.fake_memory import FakeMemory, HostMemory
from pagering.fake_receive import FakeReceiver
from pagering.fake_registers import FakeRegisters
from pagering.store_watch import StoreWatch
from pagering.transport import DmaMemory

__all__ = ["FakeCard"]


class FakeCard:
    """An in-memory card.

    Parameters
    ----------
    queues, pools, regions, region_pages
        How many of each; ``region_pages`` is pages per region.
    page_bytes, chunk_bytes, bus_bytes, frame_bytes, burst_bytes
        Sizes in bytes.
    clock_khz
        The clock that it runs at.
    parser, steering
        Whether it takes frames apart, and has filters, flow rules and receive-side scaling.
    defer_completions
        Keep completions back until :meth:`release_completions`.
    statistics
        Whether it counts all that there is to count.
    timestamps
        Whether it has a clock, and stamps frames.
    load_polls, reset_polls
        How many reads of a region's register, or of STATUS, see it still at work.
    memory
        What it reaches; memory of its own if left out.

    Raises
    ------
    ValueError
        If the sizes cannot make a card.

    """

    def __init__(self, *, queues: int = 4, pools: int = 2, regions: int = 4, region_pages: int = 8,
                 page_bytes: int = 4096, chunk_bytes: int | None = None, bus_bytes: int = 8,
                 frame_bytes: int = 16000, burst_bytes: int = 4096, clock_khz: int = 156_250,
                 parser: bool = True, steering: bool = True, statistics: bool = True,
                 timestamps: bool = True, defer_completions: bool = False, load_polls: int = 0,
                 reset_polls: int = 0, memory: HostMemory | None = None) -> None:
        self.config = Capabilities(
            queues=queues, pools=pools, regions=regions, region_pages=region_pages,
            page_bytes=page_bytes, chunk_bytes=chunk_bytes or page_bytes, bus_bytes=bus_bytes,
            frame_bytes=frame_bytes, burst_bytes=burst_bytes, clock_khz=clock_khz,
            header_split=parser, parser=parser, steering=steering, statistics=statistics,
            timestamps=timestamps)
        _check(self.config)
        self.defer_completions = defer_completions
        self.on_wait: Callable[[int], object] | None = None
        """Called with the vector when the host starts to wait: what happens meanwhile."""
        self.stores = StoreWatch()
        """What it has seen of the host's accesses; tests fail for what it found wrong."""
        self.writes: Counter[int] = Counter()
        """Register writes by offset, tokens included."""
        self.token_runs: list[int] = []
        """Length of each run of ``write_tokens``."""
        self.closed = False
        self._memory = HostMemory() if memory is None else memory
        self._registers = FakeRegisters(self.config, self._memory, load_polls, reset_polls)

    @property
    def state(self) -> FakeReceiver:
        """What the card knows; a new object after each reset."""
        return self._registers.state

    # What a test does to the card

    def inject(self, frame: bytes, *, bad: bool = False, malformed: bool = False,
               overflow: bool = False) -> DropCause | None:
        """Bring one frame; return why it was dropped, or None if it was taken.

        Raises
        ------
        ValueError
            If the frame is empty: a stream cannot carry that.

        """
        if not frame:
            raise ValueError("a frame has at least one byte")
        cause = self.state.frame(bytes(frame), bad, malformed, overflow)
        if not self.defer_completions:
            self.release_completions()
        self._registers.mirror()
        return cause

    def release_completions(self, count: int | None = None) -> int:
        """Make the oldest ``count`` (all if None) completions visible; return how many wait."""
        self.state.show(len(self.state.pending) if count is None else count)
        self._registers.mirror()
        return len(self.state.pending)

    def advance(self, cycles: int) -> None:
        """Let so many cycles of the card's clock pass; pages that are with the host grow older."""
        self.state.advance(cycles)
        self.state.pages.cycles += cycles

    def check_guards(self) -> None:
        """Check that no byte outside an allocation was written by host or card.

        Raises
        ------
        CardError
            If one was.

        """
        self._memory.check_guards()

    @property
    def access_widths(self) -> Counter[tuple[str, int]]:
        """Register accesses by ("read" or "write", bytes)."""
        return self.stores.widths

    @property
    def stray_writes(self) -> list[tuple[int, int]]:
        """(address, bytes) of the card's writes that met no mapped memory."""
        return self._memory.stray_writes

    @property
    def stray_reads(self) -> list[tuple[int, int]]:
        """(address, bytes) of the card's reads that met no mapped memory."""
        return self._memory.stray_reads

    @property
    def mapped_bytes(self) -> int:
        """Bytes that are allocated and not freed."""
        return self._memory.mapped_bytes

    # Transport

    def read32(self, offset: int) -> int:
        """Read a register.

        Raises
        ------
        CardError
            If there is none at ``offset``.

        """
        self.stores.load()
        _check_offset(offset)
        return self._registers.read(offset)

    def write32(self, offset: int, value: int) -> None:
        """Write a register.

        Raises
        ------
        CardError
            If this is not an aligned word in the card's window.

        """
        self.stores.store(offset, value)
        _check_offset(offset)
        if not 0 <= value < 1 << 32:
            raise CardError(f"{value} written to {offset:#x} is not a 32-bit word")
        self.writes[offset] += 1
        self._registers.write(offset, value)
        if not self.defer_completions:
            self.release_completions()  # of a frame that had waited for this
        self._registers.mirror()

    def write_tokens(self, offset: int, tokens: Sequence[int]) -> None:
        """Store tokens to successive words of one return window.

        Raises
        ------
        CardError
            If the run leaves the window.

        """
        end = offset + 4 * len(tokens) - 4
        queue = self._registers.window(offset)
        if queue is None or self._registers.window(end) != queue:
            raise CardError(f"{len(tokens)} tokens from {offset:#x} on do not lie in one return "
                            f"window; split the run")
        self.token_runs.append(len(tokens))
        for at, token in enumerate(tokens):
            self.write32(offset + 4 * at, token)

    def allocate(self, size: int, align: int = 4096) -> FakeMemory:
        """Return zeroed memory between guard bytes."""
        return self._memory.allocate(size, align)

    def map_memory(self, memory: DmaMemory) -> None:
        """Let the card reach memory that was not allocated here."""
        self._memory.attach(memory)

    def unmap_memory(self, memory: DmaMemory) -> None:
        """End that."""
        self._memory.detach(memory)

    def wait_interrupt(self, vector: int, timeout: float | None = None) -> bool:
        """Return whether ``vector`` was raised since the last call; does not sleep.

        Raises
        ------
        CardError
            If there is no such vector.

        """
        self._check_vector(vector)
        if self.on_wait is not None and not self.state.raised[vector]:
            self.on_wait(vector)
        if vector < self.config.queues and not self.state.raised[vector]:
            # The host sleeps: time passes, and completions become due.
            time = self.state.queues[vector].interrupt.time
            self.state.advance(time * abi.MODERATION_CYCLES)
        raised = self.state.raised[vector]
        self.state.raised[vector] = False
        return raised

    def interrupt_fd(self, vector: int) -> int:
        """Return an eventfd that is readable while ``vector`` is raised.

        Raises
        ------
        CardError
            If there is no such vector.

        """
        self._check_vector(vector)
        return self.state.raised.fileno(vector)

    def close(self) -> None:
        """Let go of the card."""
        self.closed = True
        self.state.raised.close()

    def _check_vector(self, vector: int) -> None:
        if not 0 <= vector <= self.config.queues:
            raise CardError(f"the card has vectors 0 to {self.config.queues}, not {vector}")


def _check_offset(offset: int) -> None:
    if not 0 <= offset < 1 << abi.WINDOW_ADDRESS_BITS or offset % 4:
        raise CardError(f"offset {offset:#x} is not an aligned word of the card's window")


def _check(config: Capabilities) -> None:
    for name in ("region_pages", "page_bytes", "chunk_bytes", "bus_bytes", "burst_bytes"):
        value = getattr(config, name)
        if value <= 0 or value & (value - 1):
            raise ValueError(f"{name} is {value}; it must be a power of two")
    if not 1 <= config.chunks <= abi.CHUNKS_PER_PAGE_MAX:
        raise ValueError(f"a page has 1 to {abi.CHUNKS_PER_PAGE_MAX} chunks, not {config.chunks}")
    if config.region_bytes < 4096:
        raise ValueError(f"a region has at least 4096 bytes, not {config.region_bytes}")
    for name, most in (("queues", abi.QUEUES_MAX), ("pools", abi.POOLS_MAX),
                       ("regions", abi.REGION_SLOTS_MAX)):
        if not 1 <= getattr(config, name) <= most:
            raise ValueError(f"a card has 1 to {most} {name}, not {getattr(config, name)}")
    if config.steering and not config.parser:
        raise ValueError("a card that steers has a parser; leave out both, or steering alone")
    if config.regions * config.region_pages > 1 << abi.PAGE_ID_BITS:
        raise ValueError(f"page ids are {abi.PAGE_ID_BITS} bits; {config.regions} regions of "
                         f"{config.region_pages} pages are too many")
