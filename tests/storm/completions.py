"""Judges completions: in which slot, in which turn of the ring, of which memory, of which frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pagering import abi
from pagering.fake_queue import Side

from .frames import FACTS
from .pages import Wrong
from .queue import INDEX_MASK, QueueState, Ring, ahead

if TYPE_CHECKING:
    from .model import Model

__all__ = ["STAMP_NS", "CompletionJudge"]

STAMP_NS = 8
"""What the card's clock adds in a cycle."""

Record = dict[str, int]


@dataclass(frozen=True)
class _Begun:
    """What the first segment of a frame said, and whose memory all its segments are of."""

    record: Record
    extension: Record | None
    side: Side


class CompletionJudge:
    """Judges the completions of all queues of a card."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self._begun: dict[int, _Begun] = {}

    def line(self, number: int, address: int, data: bytes) -> list[int]:
        """Judge a write to a completion ring; return the tokens in it."""
        queue = self.model.queues[number]
        ring = queue.ring
        if ring is None or queue.drained:
            raise Wrong(f"queue {number}: a completion was written after the queue was drained")
        slot = ring.written & (1 << ring.log2) - 1
        if address != ring.block.address + slot * ring.stride or len(data) % ring.stride:
            raise Wrong(f"queue {number}: {len(data)} bytes of completions at 0x{address:x}; the "
                        f"next one belongs in slot {slot}")
        tokens: list[int] = []
        for at in range(0, len(data), ring.stride):
            end = at + ring.stride
            record = abi.COMPLETION.unpack(
                int.from_bytes(data[end - abi.COMPLETION_BYTES:end], "little"))
            extension = abi.EXTENSION.unpack(int.from_bytes(
                data[at:at + abi.EXTENSION_BYTES], "little")) if ring.extended else None
            self._count(number, ring, record)
            tokens += self._completion(number, queue, record, extension)
        return tokens

    def _count(self, number: int, ring: Ring, record: Record) -> None:
        if record["phase"] != 1 - (ring.written >> ring.log2 & 1):
            raise Wrong(f"queue {number}: completion {ring.written} has phase {record['phase']}")
        ring.written = ring.written + 1 & INDEX_MASK
        if ahead(ring.written, ring.consumed) > 1 << ring.log2:
            raise Wrong(f"queue {number}: completion {ring.written - 1} overwrites one that "
                        f"was not consumed; the host is at {ring.consumed}")

    def _completion(self, number: int, queue: QueueState, record: Record,
                    extension: Record | None) -> list[int]:
        if record["start"] != (not queue.parts):
            raise Wrong(f"queue {number}: a segment with start {record['start']} after "
                        f"{len(queue.parts)} of its frame")
        tokens = [record["token"]]
        spoilt = False
        if record["start"]:
            side = Side.PAYLOAD
            if queue.split.now and not record["split"]:
                side = Side.HEADERS
            self._begun[number] = _Begun(record, extension, side)
            if record["split"]:
                tokens.insert(0, self._header_token(number, extension))
                spoilt = self._part(number, queue, tokens[0], record["header"], Side.HEADERS)
        begun = self._begun[number]
        for name in (*FACTS, "hash", "hash_type", "split"):
            if record[name] != begun.record[name]:
                raise Wrong(f"queue {number}: {name} is {begun.record[name]}, then "
                            f"{record[name]}, in segments of one frame")
        if not record["start"] and extension is not None and any(extension.values()):
            raise Wrong(f"queue {number}: the extension of a segment that is not the first says "
                        f"{extension}")
        spoilt |= self._part(number, queue, record["token"], record["length"], begun.side)
        if record["write_error"] != spoilt:
            raise Wrong(f"queue {number}: write_error is {record['write_error']} for page "
                        f"{record['token'] & 0xFFFF}, of which a write was "
                        f"{'answered with an error' if spoilt else 'answered well'}")
        last = abi.TOKEN.unpack(record["token"])["last"]
        if record["last_of_page"] != (last == self.model.config.chunks - 1):
            raise Wrong(f"queue {number}: last_of_page is {record['last_of_page']} at chunk "
                        f"{last} of {self.model.config.chunks}")
        if record["end"]:
            self._frame(number, queue)
        return tokens

    @staticmethod
    def _header_token(number: int, extension: Record | None) -> int:
        if extension is None:
            raise Wrong(f"queue {number}: a frame is split, but nothing names its headers")
        return extension["header_token"]

    def _part(self, number: int, queue: QueueState, word: int, length: int, side: Side) -> bool:
        """Judge a piece of memory, put its bytes to those of the frame; return if it is spoilt."""
        pool = queue.pool.now if side is Side.PAYLOAD else queue.header_pool.now
        memory, spoilt = self.model.pages.completed(
            number, pool, abi.TOKEN.unpack(word), side)
        if not 0 < length <= len(memory) or (
                len(memory) - length >= self.model.config.chunk_bytes):
            raise Wrong(f"queue {number}: {length} bytes were given {len(memory)} bytes of chunks")
        queue.parts.append(bytes(memory[:length]))
        return spoilt

    def _frame(self, number: int, queue: QueueState) -> None:
        model, begun = self.model, self._begun.pop(number)
        data = b"".join(queue.parts)
        queue.parts.clear()
        frame = model.frames.delivered(number, data, begun.record, begun.extension)
        header = frame.found.facts.header
        split = queue.split.now and 0 < header < frame.length > queue.threshold
        if begun.record["split"] != split:
            raise Wrong(f"queue {number}: split is {begun.record['split']} for a frame of "
                        f"{frame.length} bytes with headers of {header}; the threshold is "
                        f"{queue.threshold}")
        if begun.extension is not None:
            self._time(number, queue, begun.extension)
        queue.delivered += 1
        model.total_delivered += 1

    def _time(self, number: int, queue: QueueState, extension: Record) -> None:
        time = extension["time_high"] << 32 | extension["time_low"]
        now = self.model.cycle * STAMP_NS
        if not queue.last_time < time <= now:
            raise Wrong(f"queue {number}: a frame is stamped {time} ns, after one of "
                        f"{queue.last_time}; it is {now} at most")
        queue.last_time = time
