"""Run blocking driver code inside a simulation, strictly in turns with it.

The driver is synchronous code: it calls ``read32`` and expects a value. :func:`run_blocking` runs
it in a thread; :func:`in_simulation`, called from that thread, awaits a coroutine in the simulation
and returns its result. At any moment either the simulation runs or one driver thread, never both,
and the order in which they take turns depends on simulated time alone, so a run can be repeated.

(cocotb's own ``bridge`` and ``resume`` let a resumed thread run beside the tasks that are still
ready in the same time step. What the driver then finds in DMA memory would be a matter of luck.)
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Generic, TypeVar, cast

__all__ = ["SimulationEnded", "in_simulation", "run_blocking"]

T = TypeVar("T")


class SimulationEnded(BaseException):
    """Raised in a driver thread whose task was cancelled, so that it unwinds."""


class _Caught:
    """Context manager that keeps whatever was raised, to raise it on the other side."""

    error: BaseException | None = None

    def __enter__(self) -> _Caught:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> bool:
        self.error = error
        return True


class _Turns(Generic[T]):
    """One driver thread and the simulation, handing control to and fro."""

    def __init__(self, func: Callable[..., T], args: tuple[Any, ...],
                 kwargs: dict[str, Any]) -> None:
        self._call = (func, args, kwargs)
        self._driver_may_run = threading.Semaphore(0)
        self._simulation_may_run = threading.Semaphore(0)
        self._request: Coroutine[Any, Any, Any] | None = None
        self._answer: Any = None
        self._error: BaseException | None = None
        self._result: T | None = None
        self._ended = False
        self._thread = threading.Thread(target=self._run, name=f"driver:{func.__name__}",
                                        daemon=True)

    def _run(self) -> None:
        self._driver_may_run.acquire()
        _current.turns = self
        func, args, kwargs = self._call
        with _Caught() as caught:
            self._result = func(*args, **kwargs)
        self._request, self._error = None, caught.error
        self._simulation_may_run.release()

    def ask(self, request: Coroutine[Any, Any, Any]) -> Any:
        """Await ``request`` in the simulation; called in the driver's thread."""
        if self._ended:
            request.close()
            raise SimulationEnded
        self._request = request
        self._simulation_may_run.release()
        self._driver_may_run.acquire()
        error, self._error = self._error, None
        if error is not None:
            raise error
        return self._answer

    def _take_turn(self) -> None:
        self._driver_may_run.release()
        self._simulation_may_run.acquire()

    async def drive(self) -> T:
        """Run the driver to its end; called in the simulation."""
        self._thread.start()
        self._take_turn()
        while (request := self._request) is not None:
            with _Caught() as caught:
                self._answer = await request
            self._error = caught.error
            if caught.error is not None and not isinstance(caught.error, Exception):
                # This task is being cancelled. The thread unwinds before the exception goes on.
                self._ended, self._error = True, SimulationEnded()
                self._take_turn()
                raise caught.error
            self._take_turn()
        if self._error is not None:
            raise self._error
        return cast(T, self._result)


_current = threading.local()


async def run_blocking(func: Callable[..., T], *args: Any, **kwargs: Any) -> T:
    """Run blocking ``func`` in a thread; it may call :func:`in_simulation`."""
    return await _Turns(func, args, kwargs).drive()


def in_simulation(request: Coroutine[Any, Any, T]) -> T:
    """Await ``request`` in the simulation, from a thread of :func:`run_blocking`."""
    turns = getattr(_current, "turns", None)
    if turns is None:
        request.close()
        raise RuntimeError("driver code in a simulation must be run through CardBench.driver()")
    return cast(T, turns.ask(request))
