"""Where frames go: the part of :class:`~pagering.card.Card` that says so."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from pagering import abi
from pagering.errors import CardError
from pagering.filters import Filters
from pagering.flow_rules import FlowRules
from pagering.rss import Rss
from pagering.toeplitz import MICROSOFT_KEY

if TYPE_CHECKING:
    from pagering.capabilities import Capabilities
    from pagering.registers import RegisterMap
    from pagering.rx_queue import RxQueue

__all__ = ["Steered"]


class Steered:
    """A card that picks a queue for each frame: one, all in turn, by rule or by hash."""

    registers: RegisterMap
    capabilities: Capabilities

    def _init_steering(self, timeout: float) -> None:
        queues = self.capabilities.queues
        self._rss = Rss(self.registers, queues)
        self._rules = FlowRules(self.registers, queues, timeout)
        self._filters = Filters(self.registers)

    @property
    def rss(self) -> Rss:
        """How flows are spread; see :meth:`steer_by_hash`.

        Raises
        ------
        CardError
            If the card was made without steering.

        """
        self._need_steering("cannot spread flows")
        return self._rss

    @property
    def rules(self) -> FlowRules:
        """Flows that go where a rule says.

        Raises
        ------
        CardError
            If the card was made without steering.

        """
        self._need_steering("has no flow rules")
        return self._rules

    @property
    def filters(self) -> Filters:
        """Frames that are taken at all.

        Raises
        ------
        CardError
            If the card was made without steering.

        """
        self._need_steering("has no filters")
        return self._filters

    def _need_steering(self, sentence: str) -> None:
        if not self.capabilities.steering:
            raise CardError(f"this card {sentence}; generate one with steering")

    def steer_to(self, queue: RxQueue | int) -> None:
        """Send every frame to one queue.

        Raises
        ------
        ValueError
            If the card has no such queue.

        """
        number = self._queue_number(queue)
        self.registers.card.STEERING.write(mode=abi.SteeringMode.FIXED, queue=number)

    def steer_round_robin(self, queues: Iterable[RxQueue | int]) -> None:
        """Send frame after frame to these queues in turn; they must be 0 to n - 1.

        Raises
        ------
        ValueError
            If they are not.

        """
        numbers = sorted(self._queue_number(queue) for queue in queues)
        if not numbers or numbers != list(range(len(numbers))):
            raise ValueError(f"round robin goes over queues 0 to n - 1, each once; got {numbers}")
        self.registers.card.STEERING.write(mode=abi.SteeringMode.ROUND_ROBIN, last=numbers[-1])

    def steer_by_hash(self, queues: Iterable[RxQueue | int], *, key: bytes = MICROSOFT_KEY,
                      transform: abi.Transform = abi.Transform.NONE) -> None:
        """Spread flows evenly over these queues, each flow on one: receive-side scaling.

        Parameters
        ----------
        queues
            Which ones, 32 at most.
        key
            40 bytes.
        transform
            What is hashed; with another than NONE both directions of a flow go to one queue.

        Raises
        ------
        ValueError
            If there are none or too many queues, or the key has another length.
        CardError
            If the card was made without steering.

        """
        self.rss.key = key
        self.rss.transform = transform
        self.rss.set_queues(queues)
        self.registers.card.STEERING.write(mode=abi.SteeringMode.RSS)

    def _queue_number(self, queue: RxQueue | int) -> int:
        number = queue if isinstance(queue, int) else queue.index
        if not 0 <= number < self.capabilities.queues:
            raise ValueError(f"the card has queues 0 to {self.capabilities.queues - 1}; there is "
                             f"no queue {number}")
        return number
