"""A synthetic stream of completions, as fast as the host can take it.

The driver brings up the in-memory card as ever. Then the stream takes the card's place: it fills
the completion ring a whole pass at a time, and what the driver writes to registers is a store to
plain memory. So a pass costs what the driver costs and nothing else.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from pagering import abi
from pagering.card import Card
from pagering.errors import PageringError
from pagering.fake import FakeCard
from pagering.fake_memory import FakeMemory
from pagering.mapped_window import MappedWindow
from pagering.rx_queue import RxQueue

__all__ = ["CompletionStream"]

_PAGE_BYTES = 4096
_REGION_PAGES = 512


class _Window:
    """The in-memory card until it is up, a mapped window behind that: a transport."""

    def __init__(self, fake: FakeCard) -> None:
        self._fake = fake
        self._memories: list[FakeMemory] = []
        self._mapped: MappedWindow | None = None
        self._consumer: memoryview | None = None
        self._doorbell = abi.USER.address("RETURN_PRODUCED")
        self.tokens: list[int] | None = None
        """What was pushed, while it is asked for."""
        self.pulled = memoryview(b"")
        """The return ring, as words."""

    def map(self, mirror_address: int | None) -> None:
        """Let registers be memory; ``mirror_address`` is right behind the return ring."""
        self._mapped = MappedWindow(bytearray(1 << abi.WINDOW_ADDRESS_BITS))
        for memory in self._memories:
            end = 0 if mirror_address is None else mirror_address - memory.address
            if 0 < end < memory.size:
                self.pulled = memory.view[:end].cast("I")
                self._consumer = memory.view[end:end + 4].cast("I")

    def unmap(self) -> None:
        """Let the card have its registers again."""
        self._mapped = None

    def read32(self, offset: int) -> int:
        """Read a register."""
        return self._fake.read32(offset)

    def write32(self, offset: int, value: int) -> None:
        """Write a register; all tokens in the return ring are taken at once."""
        if self._mapped is None:
            self._fake.write32(offset, value)
            return
        self._mapped.write32(offset, value)
        if offset == self._doorbell and self._consumer is not None:
            self._consumer[0] = value

    def write_tokens(self, offset: int, tokens: Sequence[int]) -> None:
        """Store tokens."""
        if self._mapped is None:
            self._fake.write_tokens(offset, tokens)
            return
        self._mapped.write_tokens(offset, tokens)
        if self.tokens is not None:
            self.tokens += tokens

    def allocate(self, size: int, align: int = 4096) -> FakeMemory:
        """Return memory."""
        self._memories.append(self._fake.allocate(size, align))
        return self._memories[-1]

    def wait_interrupt(self, vector: int, timeout: float | None = None) -> bool:
        """Return whether the card has interrupted."""
        return self._fake.wait_interrupt(vector, timeout)

    def close(self) -> None:
        """Let go of the card."""
        self._fake.close()


class CompletionStream:
    """A queue with a full completion ring whenever :meth:`fill` was called.

    Parameters
    ----------
    returns
        Which way tokens go back: push or pull.
    entries
        Completions in the ring, each a frame of one segment.
    chunk_bytes
        Bytes that a page is handed out in.
    seed
        Of lengths, hashes and the order of pages.

    """

    def __init__(self, returns: str = "pull", entries: int = 4096, chunk_bytes: int = 4096,
                 seed: int = 1) -> None:
        regions = -(-entries // _REGION_PAGES)
        fake = FakeCard(queues=1, pools=1, regions=regions, region_pages=_REGION_PAGES,
                        chunk_bytes=chunk_bytes)
        self._window = _Window(fake)
        self.card = Card(self._window)
        pool = self.card.add_pool(regions * _REGION_PAGES)
        self.queue: RxQueue = self.card.add_queue(pool, entries, returns=returns)
        self.entries = entries
        self.chunk_bytes = chunk_bytes
        self.lengths: list[int] = []
        """Of the frames, in order."""
        self._chunks: list[tuple[int, int]] = []
        rng = random.Random(seed)
        records = self._records(rng, list(pool.views), chunk_bytes)
        self._images = [b"".join(
            (record | phase * abi.COMPLETION["phase"].mask).to_bytes(abi.COMPLETION_BYTES, "little")
            for record in records) for phase in (1, 0)]
        self._passes = 0
        self._window.map(self.queue.returns.mirror_address)

    def _records(self, rng: random.Random, pages: list[int], chunk_bytes: int) -> list[int]:
        """Return completions that fill pages one after the other, in random order."""
        rng.shuffle(pages)
        chunks, first, page = _PAGE_BYTES // chunk_bytes, 0, pages.pop()
        records = []
        for _ in range(self.entries):
            length = rng.choice((60, 60, 60, 200, 590, 1514))
            needed = -(-length // chunk_bytes)
            if first + needed > chunks:
                first, page = 0, pages.pop()
            self._chunks += [(page, first + at) for at in range(needed)]
            token = abi.TOKEN.pack(page=page, first=first, last=first + needed - 1, generation=1)
            first += needed
            self.lengths.append(length)
            records.append(abi.COMPLETION.pack(
                token=token, hash=rng.getrandbits(32), length=length, start=1, end=1,
                l3=abi.L3.IPV4, l4=abi.L4.TCP))
        return records

    def fill(self) -> None:
        """Put a pass of completions in the ring; the last one must be read.

        Raises
        ------
        PageringError
            If it is not.

        """
        if self.queue.ring.head != self._passes * self.entries % (1 << abi.CONSUMER_BITS):
            raise PageringError("the stream runs over completions that nobody has read; read all "
                                "before the next fill")
        self.queue.ring.view[:] = self._images[self._passes % 2]
        self._passes += 1

    def watch(self) -> None:
        """From now on, keep what is returned, for :meth:`check`."""
        self._window.tokens = []

    def check(self) -> None:
        """Check that since :meth:`watch` one pass came back: every chunk once.

        Raises
        ------
        PageringError
            If it did not.

        """
        found = self._window.tokens or list(self._window.pulled)
        self._window.tokens = None
        count = self.queue.stats.returns
        parts = [abi.TOKEN.unpack(token) for token in found[:count]]
        chunks = [(part["page"], chunk) for part in parts
                  for chunk in range(part["first"], part["last"] + 1)]
        if sorted(chunks) != sorted(self._chunks):
            raise PageringError(f"{len(chunks)} chunks came back of {len(self._chunks)} that were "
                                f"received, or not the same")

    def close(self) -> None:
        """Take the card down."""
        self._window.unmap()
        self.card.close()
