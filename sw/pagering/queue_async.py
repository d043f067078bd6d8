"""Receiving in an event loop: the part of :class:`~pagering.rx_queue.RxQueue` that is awaited."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from pagering.errors import CardError
from pagering.transport import EventfdTransport

if TYPE_CHECKING:
    from pagering.array_burst import ArrayBurst
    from pagering.burst import Burst
    from pagering.card import Card
    from pagering.completion_ring import CompletionRing

__all__ = ["Awaited"]


class Awaited:
    """A queue whose interrupt wakes a task. One task at a time may wait for a queue."""

    index: int
    ring: CompletionRing
    _card: Card
    _waiter: asyncio.Future[None] | None = None

    async def recv_async(self, max_frames: int = 256, timeout: float | None = None) -> Burst:
        """Take what is there as :meth:`RxQueue.recv` does; if nothing is, let other tasks run.

        Parameters
        ----------
        max_frames
            At least 1.
        timeout
            If nothing is there, wait so many seconds for each completion; None: for ever.

        Raises
        ------
        ValueError
            If ``max_frames`` is less than 1.
        CardError
            If the queue is closed, now or while it waits, another task waits for it, the transport
            has no eventfds, or a completion names memory that is not its pool's.

        """
        while not (burst := self.recv(max_frames)) and await self.wait_async(timeout):
            pass
        return burst

    async def recv_arrays_async(self, max_frames: int = 256,
                                timeout: float | None = None) -> ArrayBurst:
        """Take what is there as :meth:`RxQueue.recv_arrays` does; else as :meth:`recv_async`."""
        while not (burst := self.recv_arrays(max_frames)) and await self.wait_async(timeout):
            pass
        return burst

    async def wait_async(self, timeout: float | None = None) -> bool:
        """Let other tasks run until there is a completion; return whether there is.

        Raises
        ------
        CardError
            If the queue is closed, now or while it waits, another task waits for it, or the
            transport has no eventfds.

        """
        self._check_open()
        transport = self._card.transport
        if not isinstance(transport, EventfdTransport):
            raise CardError(f"this transport signals no interrupt by an eventfd, which awaiting "
                            f"queue {self.index} needs; use recv with a timeout")
        if self._waiter is not None:
            raise CardError(f"a task waits for queue {self.index} already; one queue, one task")
        # An interrupt may be left from a completion that polling found first: sleep once more.
        for _ in range(2):
            if self.ring.ready or self.arm():
                return True
            signalled = await self._signalled(transport.interrupt_fd(self.index), timeout)
            self._check_open()
            if not signalled:
                break
            if transport.wait_interrupt(self.index, 0):
                self._interrupted()
        return self.ring.ready

    async def _signalled(self, descriptor: int, timeout: float | None) -> bool:
        """Wait until the descriptor is readable; return whether it is."""
        loop = asyncio.get_running_loop()
        self._waiter = waiter = loop.create_future()
        loop.add_reader(descriptor, self._wake)
        try:
            await asyncio.wait_for(waiter, timeout)
        except TimeoutError:
            return False
        finally:
            loop.remove_reader(descriptor)
            self._waiter = None
        return True

    def _wake(self) -> None:
        """Let the task that waits look again."""
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    if TYPE_CHECKING:
        def recv(self, max_frames: int = ..., timeout: float | None = ...) -> Burst: ...

        def recv_arrays(self, max_frames: int = ...,
                        timeout: float | None = ...) -> ArrayBurst: ...

        def arm(self) -> bool: ...

        def _check_open(self) -> None: ...

        def _interrupted(self) -> None: ...
