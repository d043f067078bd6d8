"""Receive-side scaling: the hash of a flow picks a row of a table, and the row names a queue.

A flow stays on one queue, and queues share flows evenly. Key and table may be set under traffic:
while they change, frames go to queues of the old table or the new one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from pagering import abi
from pagering.abi import L4, Transform
from pagering.registers import RegisterMap
from pagering.toeplitz import KEY_BYTES

if TYPE_CHECKING:
    from pagering.rx_queue import RxQueue

__all__ = ["ROWS_PER_QUEUE_MIN", "Rss"]

ROWS_PER_QUEUE_MIN = 4
"""With fewer, one queue would get many more flows than another."""


class Rss:
    """Key, table and input of the hash. See :meth:`pagering.Card.steer_by_hash` to use it."""

    def __init__(self, registers: RegisterMap, queues: int) -> None:
        self._steer = registers.steer
        self._queues = queues

    @property
    def key(self) -> bytes:
        """The 40 bytes of the key.

        :data:`pagering.toeplitz.MICROSOFT_KEY` is the published one; with
        :data:`pagering.toeplitz.SYMMETRIC_KEY` both directions of a flow hash alike.
        """
        words = []
        for row in range(abi.KEY_WORDS):
            self._steer.ROW.write(row=row)
            words.append(self._steer.KEY.get().to_bytes(4, "big"))
        return b"".join(words)

    @key.setter
    def key(self, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise ValueError(f"an RSS key has {KEY_BYTES} bytes, not {len(key)}")
        for row in range(abi.KEY_WORDS):
            self._steer.ROW.write(row=row)
            self._steer.KEY.write(key=int.from_bytes(key[4 * row:4 * row + 4], "big"))
        # The card takes this one when the key is in its place.
        self._steer.ROW.write(row=0)

    @property
    def table(self) -> list[int]:
        """The queue of each of the 128 rows; the row is the hash modulo 128."""
        queues = []
        for row in range(abi.INDIRECTION_ROWS):
            self._steer.ROW.write(row=row)
            queues.append(self._steer.INDIRECTION.get())
        return queues

    @table.setter
    def table(self, queues: Sequence[int]) -> None:
        if len(queues) != abi.INDIRECTION_ROWS:
            raise ValueError(f"the indirection table has {abi.INDIRECTION_ROWS} rows, not "
                             f"{len(queues)}")
        for queue in queues:
            self._check(queue)
        for row, queue in enumerate(queues):
            self._steer.ROW.write(row=row)
            self._steer.INDIRECTION.write(queue=queue)

    def set_queues(self, queues: Iterable[RxQueue | int]) -> None:
        """Spread flows evenly over these queues.

        Raises
        ------
        ValueError
            If there are none, too many for the table, or one that the card does not have.

        """
        numbers = [queue if isinstance(queue, int) else queue.index for queue in queues]
        most = abi.INDIRECTION_ROWS // ROWS_PER_QUEUE_MIN
        if not 1 <= len(numbers) <= most:
            raise ValueError(f"a table of {abi.INDIRECTION_ROWS} rows serves 1 to {most} queues, "
                             f"{ROWS_PER_QUEUE_MIN} rows each at least; not {len(numbers)}")
        self.table = [numbers[row % len(numbers)] for row in range(abi.INDIRECTION_ROWS)]

    @property
    def transform(self) -> Transform:
        """What is hashed in place of addresses and ports."""
        return Transform(self._steer.RSS.get("transform"))

    @transform.setter
    def transform(self, transform: Transform) -> None:
        self._steer.RSS.modify(transform=Transform(transform))

    @property
    def ports_of(self) -> frozenset[L4]:
        """The protocols, of TCP and UDP, whose ports are hashed too. Those of fragments never."""
        fields = self._steer.RSS.read()
        return frozenset(l4 for l4 in (L4.TCP, L4.UDP) if fields[l4.name.lower()])

    @ports_of.setter
    def ports_of(self, protocols: Iterable[L4]) -> None:
        wanted = set(protocols)
        others = sorted(L4(l4).name for l4 in wanted - {L4.TCP, L4.UDP})
        if others:
            raise ValueError(f"the card hashes ports of TCP and UDP, not of {', '.join(others)}")
        self._steer.RSS.modify(tcp=L4.TCP in wanted, udp=L4.UDP in wanted)

    def _check(self, queue: int) -> None:
        if not 0 <= queue < self._queues:
            raise ValueError(f"the card has queues 0 to {self._queues - 1}; there is no queue "
                             f"{queue}")
