"""What happens without a frame: the part of a card that tells of it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from pagering import abi

if TYPE_CHECKING:
    from pagering.capabilities import Capabilities
    from pagering.registers import RegisterMap
    from pagering.transport import Transport

__all__ = ["EventSource"]


class EventSource:
    """A card whose last interrupt tells of events."""

    registers: RegisterMap
    capabilities: Capabilities
    transport: Transport

    def events(self) -> frozenset[abi.Event]:
        """Return the events since they were cleared."""
        return _events(self.registers.card.EVENTS.word())

    def clear_events(self, *events: abi.Event) -> None:
        """Clear these events; all if none is named."""
        self.registers.card.EVENTS.write_word(_event_bits(events or abi.Event))

    def enable_events(self, *events: abi.Event) -> None:
        """Let these events, and no others, raise the last interrupt."""
        self.registers.card.EVENT_ENABLE.write_word(_event_bits(events))

    def wait_event(self, timeout: float = 1.0) -> frozenset[abi.Event]:
        """Wait until an enabled event is there; return those, or none after ``timeout`` seconds.

        The events stay set until :meth:`clear_events`.
        """
        enabled = _events(self.registers.card.EVENT_ENABLE.word())
        # The interrupt may be of an event that was cleared since: look again, but only once.
        for _ in range(2):
            found = self.events() & enabled
            if found or not self.transport.wait_interrupt(self.capabilities.queues, timeout):
                break
        return found or self.events() & enabled


def _event_bits(events: Iterable[abi.Event]) -> int:
    return sum(1 << event for event in set(events))


def _events(word: int) -> frozenset[abi.Event]:
    return frozenset(event for event in abi.Event if word >> event & 1)
