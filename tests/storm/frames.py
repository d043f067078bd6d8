"""What became of each frame: delivered whole, once, in order, to a queue that it may have been
meant for, with all that there is to tell of it; or dropped under a cause that was possible.

Every frame's bytes are unlike those of all others on their way, so a frame that comes out is known.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pagering import abi
from pagering.dissect import Dissection
from pagering_hdl.config import CardConfig

from .knobs import Knob
from .pages import Wrong
from .steering import Steering

__all__ = ["FACTS", "FrameLedger", "Sent"]

FACTS = ("l3", "l4", "fragment", "l3_checked", "l3_ok", "l4_checked", "l4_ok", "vlan", "header",
         "checksum")
"""What each completion of a frame says of it, besides its hash."""


@dataclass(frozen=True)
class Sent:
    """A frame that was sent."""

    number: int
    length: int
    bad: bool
    hole: bool
    found: Dissection


class FrameLedger:
    """Frames between the wire and the host, and the settings that decide on them."""

    def __init__(self, config: CardConfig) -> None:
        self.config = config
        self.on_way: dict[bytes, Sent] = {}
        self.sent = 0
        self.ended = 0
        """Frames of which the last beat was taken."""
        self.flying_pages = 0
        """Most pages that frames which began, and of which no data was seen, can need."""
        self.flying_segments = 0
        """Most completions of frames that began, and did not come out."""
        self.receive = Knob(False)
        self.drop_when_full = Knob(False)
        self.minimum = Knob(1)
        self.maximum = Knob(0xFFFF)
        self.steering = Steering(config)
        self._last = [-1] * config.queues
        self._flying: deque[tuple[int, int]] = deque()

    def send(self, data: bytes, bad: bool, hole: bool, found: Dissection) -> None:
        """Note a frame that is put on the wire."""
        self.on_way[data] = Sent(self.sent, len(data), bad, hole, found)
        self.sent += 1

    def pages(self, length: int) -> int:
        """Return the pages, and completions, that a frame of some length can take."""
        return -(-length // self.config.page_bytes)

    def started(self, data: bytes, splits: bool) -> None:
        """Note that a frame begins to go in; if queues split, its headers need a page too."""
        frame = self.on_way.get(data)
        if frame is not None and not frame.bad and not frame.hole:
            self.flying_segments += self.pages(frame.length)
            need = self.pages(frame.length) + splits
            self.flying_pages += need
            self._flying.append((frame.number, need))

    def delivered(self, queue: int, data: bytes, said: Mapping[str, int],
                  extension: Mapping[str, int] | None) -> Sent:
        """Judge a frame that came out, and what its completion says."""
        frame = self.on_way.pop(data, None)
        if frame is None:
            raise Wrong(f"queue {queue} was given {len(data)} bytes that are no frame on its "
                        f"way: {data[:24].hex()}...")
        if frame.number < self._last[queue]:
            raise Wrong(f"queue {queue} was given frame {frame.number} after frame "
                        f"{self._last[queue]}")
        self._last[queue] = frame.number
        queues = self.steering.queues(frame.found)
        if queue not in queues:
            raise Wrong(f"queue {queue} was given frame {frame.number}, which was for "
                        f"{sorted(queues)}")
        if self._must_drop(frame):
            raise Wrong(f"queue {queue} was given frame {frame.number} ({frame}), which had to be "
                        f"dropped")
        self._check_facts(frame, said, extension)
        self.flying_segments -= self.pages(frame.length)
        # Data is written in order: of all frames before this one, it has been seen.
        while self._flying and self._flying[0][0] <= frame.number:
            self.flying_pages -= self._flying.popleft()[1]
        return frame

    def _check_facts(self, frame: Sent, said: Mapping[str, int],
                     extension: Mapping[str, int] | None) -> None:
        found = frame.found
        for name in FACTS:
            if said[name] != getattr(found.facts, name):
                raise Wrong(f"frame {frame.number}: {name} is {said[name]}, not "
                            f"{getattr(found.facts, name)}")
        hashes = self.steering.hashes(found)
        if hashes is not None and (said["hash"], said["hash_type"]) not in hashes:
            raise Wrong(f"frame {frame.number}: hash 0x{said['hash']:08x} of type "
                        f"{said['hash_type']} is none of {hashes}")
        if extension is None:
            return
        if extension["tci"] != found.facts.tci or (
                extension["mark"] not in self.steering.marks(found)):
            raise Wrong(f"frame {frame.number}: the extension has tci {extension['tci']} and mark "
                        f"{extension['mark']}; the frame has tci {found.facts.tci} and one of "
                        f"{self.steering.marks(found)}")

    def _too_long(self, frame: Sent) -> list[bool]:
        return [frame.length > min(maximum, self.config.max_frame)
                for maximum in self.maximum.values]

    def _must_drop(self, frame: Sent) -> bool:
        return (frame.bad or frame.hole or not any(self.receive.values)
                or all(self._too_long(frame))
                or all(frame.length < minimum for minimum in self.minimum.values)
                or self.steering.drops(frame.found)[1])

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
        steered, certain = self.steering.drops(frame.found)
        found |= steered
        if not certain:
            for queue in self.steering.queues(frame.found):
                found |= of_admission(queue)
        return frozenset(found)

    def settle(self) -> list[Sent]:
        """The card is at rest: return the frames that did not come out, and forget them."""
        lost = list(self.on_way.values())
        self.on_way.clear()
        self._flying.clear()
        self.flying_pages = self.flying_segments = 0
        self._last = [-1] * self.config.queues
        for knob in (self.receive, self.drop_when_full, self.minimum, self.maximum):
            knob.settle()
        self.steering.settle()
        return lost
