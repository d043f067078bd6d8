"""What became of each frame: delivered whole, once, in order, to a queue that it may have been
meant for; or dropped under a cause that was possible.

Every frame's bytes are unlike those of all others on their way, so a frame that comes out is known.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pagering import abi
from pagering_hdl.config import CardConfig

from .knobs import Knob
from .pages import Wrong

__all__ = ["FrameLedger", "Sent"]


@dataclass(frozen=True)
class Sent:
    """A frame that was sent."""

    number: int
    length: int
    bad: bool
    hole: bool


class FrameLedger:
    """Frames between the wire and the host, and the settings that decide on them."""

    def __init__(self, config: CardConfig) -> None:
        self.config = config
        self.on_way: dict[bytes, Sent] = {}
        self.sent = 0
        self.ended = 0
        """Frames of which the last beat was taken."""
        self.flying_pages = 0
        """Most pages that frames which began, and did not come out, can need."""
        self.receive = Knob(False)
        self.drop_when_full = Knob(False)
        self.minimum = Knob(1)
        self.maximum = Knob(0xFFFF)
        self.steering: Knob[tuple[int, ...]] = Knob((0,))
        """The queues that frames may go to."""
        self._last = [-1] * config.queues

    def send(self, data: bytes, bad: bool, hole: bool) -> None:
        """Note a frame that is put on the wire."""
        self.on_way[data] = Sent(self.sent, len(data), bad, hole)
        self.sent += 1

    def pages(self, length: int) -> int:
        """Return the pages that a frame of some length can take."""
        return -(-length // self.config.page_bytes)

    def started(self, length: int) -> None:
        """Note that a frame begins to go in."""
        self.flying_pages += self.pages(length)

    def delivered(self, queue: int, data: bytes) -> None:
        """Judge a frame that came out."""
        frame = self.on_way.pop(data, None)
        if frame is None:
            raise Wrong(f"queue {queue} was given {len(data)} bytes that are no frame on its "
                        f"way: {data[:24].hex()}...")
        if frame.number < self._last[queue]:
            raise Wrong(f"queue {queue} was given frame {frame.number} after frame "
                        f"{self._last[queue]}")
        self._last[queue] = frame.number
        if not any(queue in queues for queues in self.steering.values):
            raise Wrong(f"queue {queue} was given frame {frame.number}, which was for "
                        f"{self.steering.values}")
        if self._must_drop(frame):
            raise Wrong(f"queue {queue} was given frame {frame.number} ({frame}), which had to be "
                        f"dropped")
        self.flying_pages -= self.pages(frame.length)

    def _too_long(self, frame: Sent) -> list[bool]:
        return [frame.length > min(maximum, self.config.max_frame)
                for maximum in self.maximum.values]

    def _must_drop(self, frame: Sent) -> bool:
        return (frame.bad or frame.hole or not any(self.receive.values)
                or all(self._too_long(frame))
                or all(frame.length < minimum for minimum in self.minimum.values))

    def causes(self, frame: Sent, of_admission: Callable[[int], frozenset[str]]
               ) -> frozenset[str]:
        """Return every cause under which a frame that did not come out may have been dropped.

        Parameters
        ----------
        frame : Sent
            The frame.
        of_admission : Callable[[int], frozenset[str]]
            Why a queue may have refused a frame.
        """
        drop = abi.DropCause
        found: set[str] = set()
        too_long = self._too_long(frame)
        too_short = [frame.length < minimum for minimum in self.minimum.values]
        for possible, certain, cause in (
                (not all(self.receive.values), not any(self.receive.values), drop.CARD_DISABLED),
                (frame.bad, True, drop.BAD_FRAME), (frame.hole, True, drop.MALFORMED),
                (any(too_long), all(too_long), drop.OVERSIZE),
                (any(self.drop_when_full.values), False, drop.OVERFLOW),
                (any(too_short), all(too_short), drop.RUNT)):
            if possible:
                found.add(cause.name)
                if certain:
                    return frozenset(found)
        for queues in self.steering.values:
            for queue in queues:
                found |= of_admission(queue)
        return frozenset(found)

    def settle(self) -> list[Sent]:
        """The card is at rest: return the frames that did not come out, and forget them."""
        lost = list(self.on_way.values())
        self.on_way.clear()
        self.flying_pages = 0
        self._last = [-1] * self.config.queues
        for knob in (self.receive, self.drop_when_full, self.minimum, self.maximum):
            knob.settle()
        self.steering.settle()
        return lost
