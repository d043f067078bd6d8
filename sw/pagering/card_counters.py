"""What a card counts: the part of :class:`~pagering.card.Card` that tells of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pagering import abi
from pagering.errors import CardError
from pagering.statistics import link_statistics, queue_statistics, rmon_statistics

if TYPE_CHECKING:
    from pagering.capabilities import Capabilities
    from pagering.registers import RegisterMap

__all__ = ["CardCounters"]


class CardCounters:
    """A card with counters."""

    registers: RegisterMap
    capabilities: Capabilities

    def counters(self) -> dict[str, int]:
        """Return all card-wide counters by lower-case name. 64 bits, each read whole.

        A card that was made without statistics has only some: :data:`pagering.abi.ESSENTIAL`.
        """
        return {name.lower(): value for name, value in self.registers.counters().items()
                if self.capabilities.statistics or name in abi.ESSENTIAL}

    def drops(self) -> dict[str, int]:
        """Return how many frames were dropped, by cause in lower case."""
        return {cause.name.lower(): self.registers.stats.count(f"DROP_{cause.name}")
                for cause in abi.DropCause}

    def faults(self) -> dict[str, int]:
        """Return how often the card refused or met something, by fault in lower case."""
        return {fault.name.lower(): self.registers.stats.count(f"FAULT_{fault.name}")
                for fault in abi.Fault}

    def statistics(self) -> dict[str, int]:
        """Return the receive statistics of all queues together, under their netdev names.

        Queues that are closed count too: what they received was received. For one queue see
        :meth:`RxQueue.statistics`, for what each name means :mod:`pagering.statistics`.

        Raises
        ------
        CardError
            If the card was made without statistics.

        """
        self.need_statistics("by queue")
        return queue_statistics(self._queue_totals())

    def link_statistics(self) -> dict[str, int]:
        """Return what Linux' ``rtnl_link_stats64`` would say of the receive side.

        Raises
        ------
        CardError
            If the card was made without statistics.

        """
        self.need_statistics("bytes")
        return link_statistics(self.registers.counters(), self._queue_totals()["RX_BYTES"])

    def rmon_statistics(self) -> dict[str, int]:
        """Return the frames that came in by size in bytes, with FCS.

        Raises
        ------
        CardError
            If the card was made without statistics.

        """
        self.need_statistics("by size")
        return rmon_statistics(self.registers.counters())

    def need_statistics(self, what: str) -> None:
        """Raise if the card was made without statistics and so does not count ``what``.

        Raises
        ------
        CardError
            If that is so.

        """
        if not self.capabilities.statistics:
            raise CardError(f"this card does not count {what}; generate one with statistics")

    def _queue_totals(self) -> dict[str, int]:
        totals = dict.fromkeys((counter.name for counter in abi.QUEUE_COUNTERS), 0)
        for index in range(self.capabilities.queues):
            for name, value in self.registers.user(index).counts(abi.QUEUE_COUNTERS).items():
                totals[name] += value
        return totals
