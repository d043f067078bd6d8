"""What the unit tests of the card share: running a simulation, streams in and out, and their rules.

Ref: Amaranth standard library, "Data transfer rules" of streams.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from amaranth.hdl import Module, ResetInserter, Signal
from amaranth.lib import data
from amaranth.sim import Simulator

from pagering_hdl.config import CardConfig

__all__ = ["clocked", "collect", "config", "drain", "feed", "get", "mirror", "plain",
           "pulse", "put", "rules", "simulate", "sink", "source", "with_clear"]

PERIOD = 1e-8
Bench = Callable[[Any], Awaitable[None]]


def config(**changes: Any) -> CardConfig:
    """Return the configuration of a card small enough for its corners to be near."""
    small = {"queues": 4, "pools": 4, "pages": 64, "region_pages": 8, "chunk_bytes": 1024,
             "fifo_bytes": 1024, "max_frame": 1000}
    return CardConfig(**{**small, **changes})


def simulate(dut: Any, *benches: Bench, background: Iterable[Bench] = (),
             tables: Iterable[Bench] = (), limit: int = 20000) -> None:
    """Run until all of ``benches`` have ended; longer than ``limit`` cycles is a failure.

    ``tables`` are the processes that :func:`mirror` makes.
    """
    async def watchdog(ctx: Any) -> None:
        await ctx.delay(limit * PERIOD)
        raise AssertionError(f"not done after {limit} cycles")

    simulator = Simulator(dut)
    simulator.add_clock(PERIOD)
    for bench in benches:
        simulator.add_testbench(_abandonable(bench))
    for bench in (*background, watchdog):
        simulator.add_testbench(_abandonable(bench), background=True)
    for process in tables:
        simulator.add_process(process)
    simulator.run()


def _abandonable(bench: Bench) -> Bench:
    """Let a bench that is left in the middle of a wait be collected without a complaint."""
    async def quiet(ctx: Any) -> None:
        try:
            await bench(ctx)
        except RuntimeError as error:
            if not str(error).startswith("aclose()"):
                raise
    return quiet


def plain(value: Any) -> Any:
    """Return a structure as a dict of its fields, anything else as it is."""
    if isinstance(value, data.Const):
        shape = value.shape()
        if isinstance(shape, data.StructLayout):
            return {name: plain(value[name]) for name in shape.members}
        return [plain(value[index]) for index in range(shape.length)]
    return value


async def put(ctx: Any, stream: Any, payload: Any) -> None:
    """Send one payload."""
    ctx.set(stream.payload, payload)
    ctx.set(stream.valid, 1)
    await ctx.tick().until(stream.ready)
    ctx.set(stream.valid, 0)


async def get(ctx: Any, stream: Any) -> Any:
    """Receive one payload."""
    ctx.set(stream.ready, 1)
    payload, = await ctx.tick().sample(stream.payload).until(stream.valid)
    ctx.set(stream.ready, 0)
    return plain(payload)


async def feed(ctx: Any, stream: Any, payloads: Iterable[Any], gaps: random.Random | None = None,
               share: float = 0.6) -> None:
    """Send payloads, back to back or with random gaps."""
    for payload in payloads:
        while gaps is not None and gaps.random() > share:
            await ctx.tick()
        await put(ctx, stream, payload)


async def drain(ctx: Any, stream: Any, count: int, gaps: random.Random | None = None,
                share: float = 0.6) -> list[Any]:
    """Receive ``count`` payloads, at full speed or with random gaps."""
    got: list[Any] = []
    while len(got) < count:
        while gaps is not None and gaps.random() > share:
            await ctx.tick()
        got.append(await get(ctx, stream))
    return got


def source(stream: Any, payloads: Iterable[Any], gaps: random.Random | None = None,
           share: float = 0.6) -> Bench:
    """Make a bench of :func:`feed`."""
    async def bench(ctx: Any) -> None:
        await feed(ctx, stream, payloads, gaps, share)
    return bench


def sink(stream: Any, into: list[Any], count: int, gaps: random.Random | None = None,
         share: float = 0.6) -> Bench:
    """Make a bench of :func:`drain`."""
    async def bench(ctx: Any) -> None:
        into.extend(await drain(ctx, stream, count, gaps, share))
    return bench


def collect(event: Any, into: list[Any], when: Any = None) -> Bench:
    """Make a background bench that notes an event in every cycle in which it is valid."""
    async def bench(ctx: Any) -> None:
        valid = event.valid if when is None else when
        async for _, _, happens, value in ctx.tick().sample(valid, event):
            if happens:
                into.append(plain(value))
    return bench


def mirror(lookup: Any, answer: Callable[[int], Any], *news: Any) -> Bench:
    """Make a process that plays the table behind a lookup.

    A change of one of ``news`` says that the table has changed.
    """
    async def process(ctx: Any) -> None:
        async for addr, *_ in ctx.changed(lookup.addr, *news):
            ctx.set(lookup.data, answer(addr))
    return process


def late_mirror(lookup: Any, answer: Callable[[int], Any]) -> Bench:
    """Make a process that plays the table behind a lookup that is answered a cycle late."""
    async def process(ctx: Any) -> None:
        async for _, _, asked, addr in ctx.tick().sample(lookup.en, lookup.addr):
            if asked:
                ctx.set(lookup.data, answer(addr))
    return process


def rules(stream: Any) -> Bench:
    """Make a background bench that holds a stream to its rules: an offer stands until taken."""
    async def bench(ctx: Any) -> None:
        offered = None
        ticks = ctx.tick().sample(stream.valid, stream.ready, stream.payload)
        async for _, _, valid, ready, payload in ticks:
            payload = plain(payload)
            if offered is not None:
                assert valid, f"took back {offered[0]}"
                assert payload == offered[0], f"changed {offered[0]} to {payload}"
            offered = [payload] if valid and not ready else None
    return bench


def clocked(dut: Any) -> Module:
    """Return a part that has no clock with one to be simulated by."""
    m = Module()
    m.submodules.dut = dut
    m.d.sync += Signal().eq(1)
    return m


def with_clear(dut: Any) -> tuple[Any, Signal]:
    """Return the part as it stands in the card, and the signal that resets it in mid-life."""
    clear = Signal()
    return ResetInserter(clear)(dut), clear


async def pulse(ctx: Any, signal: Any) -> None:
    """Set a signal for one cycle."""
    ctx.set(signal, 1)
    await ctx.tick()
    ctx.set(signal, 0)
