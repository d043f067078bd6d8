"""What the in-memory card counts: the twin of the card's meters."""

from __future__ import annotations

from collections import Counter

from pagering import abi
from pagering.abi import DropCause
from pagering.dissect import Facts

__all__ = ["FCS_BYTES", "FakeStatistics", "checksum_counter", "size_counter"]

FCS_BYTES = 4
_BROADCAST = bytes([0xFF] * 6)


def size_counter(length: int) -> str:
    """Return the name of the counter of frames of ``length`` bytes; counted with the FCS."""
    size = length + FCS_BYTES
    number = next(number for number, (_, most) in enumerate(abi.SIZES)
                  if most is None or size <= most)
    least, most = abi.SIZES[number]
    return f"SIZE_{least}_{'UP' if most is None else most}"


def checksum_counter(facts: Facts) -> str:
    """Return the name of the queue's counter for what the card found out about checksums."""
    if facts.l3_checked and not facts.l3_ok or facts.l4_checked and not facts.l4_ok:
        return "CSUM_BAD"
    if facts.l4_checked:
        return "CSUM_UNNECESSARY"
    return "CSUM_COMPLETE" if facts.l3 in (abi.L3.IPV4, abi.L3.IPV6) else "CSUM_NONE"


class FakeStatistics:
    """All counters, by their names in the contract.

    Parameters
    ----------
    queues, bus_bytes
        Of the card.

    """

    def __init__(self, queues: int, bus_bytes: int) -> None:
        self.card: Counter[str] = Counter()
        self.queues: list[Counter[str]] = [Counter() for _ in range(queues)]
        self.fifo_peak = 0
        """Most bytes in the packet FIFO; to the twin, that is the longest frame in it."""
        self._bus_bytes = bus_bytes

    def ended(self, data: bytes) -> None:
        """Count a frame that came in, good or bad."""
        self.card["FRAMES_IN"] += 1
        self.card["BYTES_IN"] += len(data)
        self.card[size_counter(len(data))] += 1

    def kept(self, data: bytes) -> None:
        """Count a good frame that went to the packet FIFO."""
        if data[:6] == _BROADCAST:
            self.card["BROADCAST"] += 1
        elif data[0] & 1:
            self.card["MULTICAST"] += 1
        self.fifo_peak = max(self.fifo_peak, -(-len(data) // self._bus_bytes) * self._bus_bytes)

    def admitted(self, queue: int, length: int, facts: Facts) -> None:
        """Count a frame that got its memory."""
        self.queues[queue]["RX_BYTES"] += length
        self.queues[queue][checksum_counter(facts)] += 1
        self.card["VLAN"] += facts.vlan

    def dropped(self, cause: DropCause, queue: int | None = None) -> None:
        """Count a frame that was dropped, perhaps after it was steered to a queue."""
        self.card[f"DROP_{cause.name}"] += 1
        if queue is not None and queue < len(self.queues):
            self.queues[queue][abi.QUEUE_DROPS[cause]] += 1

    def delivered(self, queue: int) -> None:
        """Count a frame that the host can see."""
        self.card["FRAMES_DELIVERED"] += 1
        self.queues[queue]["RX_PACKETS"] += 1

    def wrote(self, address: int, length: int) -> None:
        """Count a burst on the bus."""
        first = address // self._bus_bytes
        last = (address + length - 1) // self._bus_bytes
        self.card["WRITE_BURSTS"] += 1
        self.card["WRITE_BEATS"] += last - first + 1
        self.card["WRITE_BYTES"] += length
