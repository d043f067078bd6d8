"""What went through a queue: as the driver counts it, and as the card does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pagering import abi
from pagering.records import INDEX_MASK
from pagering.statistics import queue_statistics

if TYPE_CHECKING:
    from pagering.card import Card
    from pagering.completion_ring import CompletionRing
    from pagering.frame import Frame
    from pagering.registers import BlockView

__all__ = ["Counted", "QueueStats"]


@dataclass
class QueueStats:
    """What went through a queue."""

    frames: int = 0
    bytes: int = 0
    segments: int = 0
    returns: int = 0
    """Tokens written, after merging."""
    splits: int = 0
    """Frames whose headers came apart."""
    retained: int = 0
    """Frames that are retained now."""

    def note(self, frames: Sequence[Frame]) -> None:
        """Count frames that were received."""
        self.frames += len(frames)
        self.bytes += sum([frame.length for frame in frames])
        self.segments += sum([len(frame.tokens) for frame in frames])


class Counted:
    """A queue whose frames and pages the card counts."""

    ring: CompletionRing
    _card: Card
    _registers: BlockView
    _user: BlockView

    @property
    def held(self) -> int:
        """Pages off the ring that the queue holds, as the card counts them."""
        return self._registers.HELD.get()

    @property
    def unread(self) -> int:
        """Completions that the host has not read, as the card counts them."""
        return self._registers.PRODUCED.get() - self.ring.head & INDEX_MASK

    @property
    def delivered(self) -> int:
        """Frames delivered to this queue, as the card counts them.

        Raises
        ------
        CardError
            If the card was made without statistics.

        """
        self._card.need_statistics("by queue")
        return self._user.count("RX_PACKETS")

    @property
    def dropped(self) -> int:
        """Frames steered to this queue and dropped.

        Raises
        ------
        CardError
            If the card was made without statistics.

        """
        return self.statistics()["rx-hw-drops"]

    def statistics(self) -> dict[str, int]:
        """Return the queue's receive statistics, under their netdev names.

        They do not begin anew when the queue is opened: only a reset of the card does that. See
        :mod:`pagering.statistics` for what each name means.

        Raises
        ------
        CardError
            If the card was made without statistics.

        """
        self._card.need_statistics("by queue")
        return queue_statistics(self._user.counts(abi.QUEUE_COUNTERS))
