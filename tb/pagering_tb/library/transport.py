"""The driver's :class:`~pagering.transport.Transport` over a :class:`LibraryCard`.

A thread is the card's clock: time passes whenever the card has something to do, beside the driver's
own work, and stands still else. Memory is of this process, interrupts are eventfds, and the card
sees neither what is not mapped nor what is no longer.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import select
import threading
from collections.abc import Iterator, Sequence

from pagering.errors import CardError, CardGone
from pagering.transport import DmaMemory

from .library_card import DMA_PAGE, AccessError, LibraryCard
from .turns import Turns
from .wire_feed import WireFeed

__all__ = ["LibraryMemory", "LibraryTransport"]

_SLICE_CYCLES = 8192
"""How long the clock runs before it looks for frames to send."""
_FIRST_ADDRESS = 0x2_4000_0000
"""Above 4 GiB, so that a forgotten upper half of an address shows."""


class LibraryMemory:
    """DMA memory; a :class:`pagering.transport.DmaMemory`."""

    def __init__(self, transport: LibraryTransport, address: int, size: int) -> None:
        self._transport = transport
        self.pages = mmap.mmap(-1, -(-size // DMA_PAGE) * DMA_PAGE)
        """All that the card reaches: whole pages."""
        self.address = address
        self.view = memoryview(self.pages)[:size]
        self.freed = False

    def free(self) -> None:
        """Unmap it."""
        if not self.freed:
            self.freed = True
            self._transport.unmap(self.address)


class LibraryTransport:
    """Drives a card; lets the driver have it in between.

    Parameters
    ----------
    card
        The transport closes it.
    feed
        What comes on the wire while the card receives; None for what :meth:`send` brings alone.

    """

    def __init__(self, card: LibraryCard, feed: WireFeed | None = None) -> None:
        self.card = card
        self.write_errors = 0
        """Writes that the card answered with an error. A real host never hears of those."""
        self._feed = feed
        self._turns = Turns()
        self._wake = threading.Event()
        self._closed = False
        self._error: CardGone | None = None
        self._next = _FIRST_ADDRESS
        self._events = [os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
                        for _ in range(card.config.queues + 1)]
        for vector, descriptor in enumerate(self._events):
            card.interrupt(vector, descriptor)
        self._clock = threading.Thread(target=self._run, name="card's clock", daemon=True)
        self._clock.start()

    # Transport

    def read32(self, offset: int) -> int:
        """Read a register."""
        with self._using() as card:
            return card.read32(offset)

    def write32(self, offset: int, value: int) -> None:
        """Write a register."""
        self.write_tokens(offset, (value,))
        if self._feed is not None:
            self._feed.note(offset, value)

    def write_tokens(self, offset: int, tokens: Sequence[int]) -> None:
        """Store tokens, a write each. To a card that is gone they are lost."""
        with contextlib.suppress(CardGone), self._using() as card:
            try:
                card.write_words(offset, tokens)
            except AccessError:
                self.write_errors += 1

    def allocate(self, size: int, align: int = DMA_PAGE) -> LibraryMemory:
        """Return memory that the card reaches.

        Raises
        ------
        CardError
            If there can be no such memory.

        """
        if size <= 0 or align <= 0 or align & (align - 1):
            raise CardError(f"cannot allocate {size} bytes aligned to {align}")
        align = max(align, DMA_PAGE)
        with self._using() as card:
            address = -(-self._next // align) * align
            memory = LibraryMemory(self, address, size)
            card.map(address, memory.pages)
            # A hole after each block: a write that runs over its end is blocked.
            self._next = address + len(memory.pages) + DMA_PAGE
        return memory

    def unmap(self, address: int) -> None:
        """Take memory away from the card, unless that is gone."""
        with contextlib.suppress(CardGone), self._using() as card:
            card.unmap(address)

    def map_memory(self, memory: DmaMemory) -> None:
        """Map memory of somebody else's."""
        with self._using() as card:
            card.map(memory.address, memory.view)

    def unmap_memory(self, memory: DmaMemory) -> None:
        """Unmap it."""
        self.unmap(memory.address)

    def interrupt_fd(self, vector: int) -> int:
        """Return the eventfd of a vector."""
        return self._events[vector]

    def wait_interrupt(self, vector: int, timeout: float | None = None) -> bool:
        """Wait until ``vector`` is raised, or the host's seconds are over."""
        descriptor = self._events[vector]
        if timeout != 0:
            poll = select.poll()
            poll.register(descriptor, select.POLLIN)
            poll.poll(None if timeout is None else max(1, round(1000 * timeout)))
        self._check()
        try:
            os.eventfd_read(descriptor)
        except BlockingIOError:
            return False
        return True

    def stop(self) -> None:
        """Stop the clock; who has the card may drive it. Again does nothing."""
        if self._closed:
            return
        self._closed = True
        self._wake.set()
        self._clock.join()
        for vector, descriptor in enumerate(self._events):
            with contextlib.suppress(CardGone):
                self.card.interrupt(vector, None)
            os.close(descriptor)

    def close(self) -> None:
        """Stop the clock and let go of the card."""
        self.stop()
        self.card.close()

    # The wire

    def send(self, frame: bytes) -> None:
        """Bring a frame to the wire; wait while there is no room for it."""
        while True:
            with self._using() as card:
                if card.send(frame):
                    return
                if card.quiet:
                    raise CardError("the card takes no frames: its queues hold what they have")

    def ended(self) -> bool:
        """Return whether no more frames will come, and all that came have gone through."""
        if self._feed is None or not self._feed.over:
            return False
        with self._using(wakes=False) as card:
            return card.quiet

    # The clock

    def _run(self) -> None:
        while not self._closed:
            self._wake.clear()
            try:
                with self._turns.taken():
                    pause = None if self._feed is None else self._feed.fill(self.card.send)
                    self.card.run(_SLICE_CYCLES)
                    still = self.card.quiet
            except CardGone as error:
                self._fail(error)
                return
            if still:
                self._wake.wait(pause)

    def _fail(self, error: CardGone) -> None:
        """Remember why there is no card any more, and wake whoever waits for it."""
        self._error = error
        for descriptor in self._events:
            os.eventfd_write(descriptor, 1)

    def _check(self) -> None:
        if self._error is not None:
            raise CardGone(str(self._error)) from self._error
        if self._closed:
            raise CardGone("the simulated card is closed")

    @contextlib.contextmanager
    def _using(self, wakes: bool = True) -> Iterator[LibraryCard]:
        """Have the card alone; then let the clock run on, to find out if the card broke."""
        try:
            with self.card.asking(), self._turns.taken():
                self._check()
                yield self.card
        finally:
            if wakes:
                self._wake.set()
