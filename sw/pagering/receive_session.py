"""A card, opened to receive on all its queues: what the commands have in common."""

from __future__ import annotations

import select
import time
from collections.abc import Callable
from types import TracebackType

from pagering.burst import Burst
from pagering.card import Card
from pagering.devices import Device
from pagering.errors import PageringError
from pagering.rx_queue import RxQueue
from pagering.transport import EventfdTransport

__all__ = ["ReceiveSession"]

_BURST_FRAMES = 256
_PAGES_MAX = 4096
_TURN_S = 0.01
_HASHED_QUEUES_MAX = 32


class ReceiveSession:
    """An open card with one pool; a context manager. Flows are spread over its queues.

    Parameters
    ----------
    device
        The card.
    queues
        How many; None for as many as the card has, up to 4.

    Raises
    ------
    PageringError
        If the card has not so many queues, or cannot be opened.

    """

    def __init__(self, device: Device, queues: int | None = None) -> None:
        self.device = device
        self.card = Card(device.transport)
        caps = self.card.capabilities
        count = min(4, caps.queues) if queues is None else queues
        if not 1 <= count <= caps.queues:
            self.card.close()
            raise PageringError(f"--queues must be from 1 to {caps.queues}, what {device.name} "
                                f"has, not {count}")
        try:
            regions = max(1, min(caps.regions, _PAGES_MAX // caps.region_pages))
            pool = self.card.add_pool(regions * caps.region_pages)
            self.queues: list[RxQueue] = [
                self.card.add_queue(pool, extended=True) for _ in range(count)]
            self.card.clock.set(time.time_ns())
            self._steer()
            self.card.receive = True
        except BaseException:
            self.card.close()
            raise

    def _steer(self) -> None:
        if len(self.queues) == 1:
            self.card.steer_to(0)
        elif self.card.capabilities.steering and len(self.queues) <= _HASHED_QUEUES_MAX:
            self.card.steer_by_hash(self.queues)
        else:
            self.card.steer_round_robin(self.queues)

    def poll(self, handle: Callable[[Burst], object], most: int | None = None) -> int:
        """Receive from each queue once, at most ``most`` frames; return how many came."""
        got = 0
        for queue in self.queues:
            left = _BURST_FRAMES if most is None else min(_BURST_FRAMES, most - got)
            if left <= 0:
                break
            with queue.recv(left) as burst:
                if burst:
                    got += len(burst)
                    handle(burst)
        return got

    def turn(self, handle: Callable[[Burst], object], seconds: float,
             most: int | None = None) -> bool:
        """Receive what is there, or rest for as long at most; return whether more may come."""
        # Asked before the last look: what came until then is still to be found.
        over = self.device.ended()
        if self.poll(handle, most):
            return True
        if not over:
            self.rest(max(0.0, seconds))
        return not over

    def rest(self, seconds: float) -> None:
        """Sleep until there is a completion in any queue, or the time is over."""
        transport = self.device.transport
        if isinstance(transport, EventfdTransport):
            if any(queue.ring.ready or queue.arm() for queue in self.queues):
                return
            waited = {transport.interrupt_fd(queue.index): queue.index for queue in self.queues}
            for descriptor in select.select(list(waited), [], [], seconds)[0]:
                transport.wait_interrupt(waited[descriptor], 0)
            return
        end = time.monotonic() + seconds
        while not any(queue.wait(_TURN_S / len(self.queues)) for queue in self.queues):
            if time.monotonic() >= end or self.device.ended():
                return

    def __enter__(self) -> ReceiveSession:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self.card.close()
