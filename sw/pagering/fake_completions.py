"""Completions of the in-memory card: made when a segment is written, visible when it is wished."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from pagering import abi
from pagering.abi import Fault
from pagering.dissect import Facts
from pagering.fake_admission import INDEX_MASK
from pagering.fake_state import FakeState
from pagering.fake_steering import Steered

__all__ = ["Completion", "FakeCompletions", "Written"]


@dataclass(frozen=True)
class Completion:
    """A completion that waits to be seen."""

    queue: int
    index: int
    tokens: tuple[int, ...]
    """Of the segment; before it, that of the frame's headers, if they are apart."""
    end: bool
    record: bytes


@dataclass(frozen=True)
class Written:
    """A segment in host memory."""

    token: int
    length: int
    failed: bool
    full: bool
    """Nothing more goes to its page."""


class FakeCompletions:
    """Makes completions and writes them to their rings, a line at a time."""

    def __init__(self, state: FakeState) -> None:
        self._state = state
        self.pending: deque[Completion] = deque()
        """Completions that are not visible yet, oldest first."""

    def make(self, steered: Steered, facts: Facts, written: Written,
                  headers: Written | None, start: bool, end: bool) -> None:
        """Make the completion of a segment."""
        queue = self._state.queues[steered.queue]
        index = queue.reserved
        queue.reserved = index + 1 & INDEX_MASK
        record = abi.COMPLETION.pack(
            token=written.token, length=written.length, start=start, end=end,
            write_error=written.failed or (headers is not None and headers.failed),
            last_of_page=written.full, phase=1 - (index >> queue.ring_log2 & 1),
            split=headers is not None, l3=facts.l3, l4=facts.l4,
            fragment=facts.fragment, l3_checked=facts.l3_checked, l3_ok=facts.l3_ok,
            l4_checked=facts.l4_checked, l4_ok=facts.l4_ok, vlan=facts.vlan, header=facts.header,
            checksum=facts.checksum, hash=steered.hash, hash_type=steered.hash_type)
        if queue.extended:
            extension = self._extension(steered, facts, headers) if start else 0
            record = record << 8 * abi.EXTENSION_BYTES | extension
        tokens = (written.token,) if headers is None else (headers.token, written.token)
        self.pending.append(Completion(
            steered.queue, index, tokens, end, record.to_bytes(queue.stride, "little")))

    def _extension(self, steered: Steered, facts: Facts, headers: Written | None) -> int:
        """Return what comes before the completion of a frame's first segment."""
        time = self._state.clock.time if self._state.config.timestamps else 0
        return abi.EXTENSION.pack(time_low=time & 0xFFFFFFFF, time_high=time >> 32,
                                  tci=facts.tci, mark=steered.mark,
                                  header_token=headers.token if headers else 0)

    def show(self, count: int) -> None:
        """Make the ``count`` oldest pending completions visible, a line at a time."""
        ready = [self.pending.popleft() for _ in range(min(count, len(self.pending)))]
        for line in self._lines(ready):
            queue = self._state.queues[line[0].queue]
            slot = line[0].index & (1 << queue.ring_log2) - 1
            address = queue.ring_address + slot * queue.stride
            records = b"".join(item.record for item in line)
            self._state.statistics.wrote(address, len(records))
            if not self._state.memory.write(address, records):
                self._state.fault(Fault.COMPLETION_WRITE)
            for item in line:
                for token in item.tokens:
                    self._state.pages.show(token)
                queue.produced = item.index + 1 & INDEX_MASK
                if item.end:
                    self._state.statistics.delivered(item.queue)
            self._state.moderate(line[0].queue)

    def _lines(self, completions: list[Completion]) -> Iterator[list[Completion]]:
        """Group neighbours that share a queue and an aligned line of its ring."""
        line: list[Completion] = []
        for item in completions:
            in_line = abi.LINE_BYTES // self._state.queues[item.queue].stride
            if line and (item.queue != line[0].queue
                         or item.index // in_line != line[0].index // in_line):
                yield line
                line = []
            line.append(item)
        if line:
            yield line
