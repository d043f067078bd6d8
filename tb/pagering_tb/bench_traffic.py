"""What ``pagering bench`` sends: UDP over IPv4, of many flows in random order.

The card works for every frame: it parses it, sums it, filters its address, looks for its flow among
a full table of rules, hashes it, and so picks the queue. Where each flow must go is known from the
software twin, set up by the same driver code as the card.
"""

from __future__ import annotations

import ipaddress
import random
import struct
from collections.abc import Sequence

from pagering import Card, FlowRule, RxQueue, abi
from pagering.checksum import ones_sum
from pagering.dissect import dissect
from pagering.fake import FakeCard

__all__ = ["FLOWS", "HEADER_BYTES", "Traffic"]

FLOWS = 256
HEADER_BYTES = 42
"""Ethernet, IPv4 and UDP; the shortest frame has a number of its own behind them."""
_STATION = 0x02_00_00_00_00_01
_PORTS = slice(34, 36)
"""The source port tells the flow."""
_FIRST_PORT = 0x8000


class Traffic:
    """Frames, each unlike all others, and their queues.

    Every fourth flow rule is met by a flow, and names its queue; the others are met by none.

    Parameters
    ----------
    queues : int
        That the flows are spread over.
    rng : random.Random
        Picks addresses, and the flow of each frame.
    """

    def __init__(self, queues: int, rng: random.Random) -> None:
        self._queues, self._rng = queues, rng
        self._serial = 0
        self._flows = [struct.pack("!IIHH", rng.getrandbits(32), rng.getrandbits(32),
                                   _FIRST_PORT + number, 9) for number in range(FLOWS)]
        twin = FakeCard(queues=queues)
        self.steer(Card(twin), range(queues))
        self.queues = [twin.state.steering.steer(dissect(self._headers(64, flow))).queue
                       for flow in self._flows]
        """Of each flow."""
        self._of_queue = [[flow for flow, queue in zip(self._flows, self.queues, strict=True)
                           if queue == number] for number in range(queues)]

    def steer(self, card: Card, queues: Sequence[RxQueue] | Sequence[int]) -> None:
        """Set up a card: hashing, address filter and all rules; driver code."""
        card.steer_by_hash(queues)
        card.filters.addresses = [_STATION]
        card.filters.promiscuous = False
        for number in range(abi.RULES):
            source, _, port, _ = struct.unpack("!IIHH", self._flows[number])
            met = number % 4 == 0
            card.rules.add(FlowRule(
                queue=number % self._queues, protocol=17, source=ipaddress.IPv4Address(source),
                source_port=port if met else port - _FIRST_PORT))

    def frame(self, size: int, queue: int | None = None) -> bytes:
        """Return the next frame, of ``size`` bytes: 64 or more; to ``queue`` or to any."""
        self._serial += 1
        flow = self._rng.choice(self._flows if queue is None else self._of_queue[queue])
        head = self._headers(size, flow) + self._serial.to_bytes(8, "big")
        fill = bytes((self._serial + n) & 0xFF for n in range(256)) * (size // 256 + 1)
        return (head + fill)[:size]

    def queue_of(self, frame: bytes) -> int:
        """Return where the card must put a frame."""
        return self.queues[int.from_bytes(frame[_PORTS], "big") - _FIRST_PORT]

    @staticmethod
    def _headers(size: int, flow: bytes) -> bytes:
        addresses, ports = flow[:8], flow[8:]
        ip = struct.pack("!BBHHHBBH", 0x45, 0, size - 14, 0, 0, 64, 17, 0) + addresses
        ip = ip[:10] + (ones_sum(ip) ^ 0xFFFF).to_bytes(2, "big") + ip[12:]
        # A UDP checksum of zero says that there is none.
        return (_STATION.to_bytes(6, "big") + bytes.fromhex("020000000002") + b"\x08\x00" + ip
                + ports + struct.pack("!HH", size - 34, 0))
