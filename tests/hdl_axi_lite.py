"""A manager for the card's register window, for unit tests."""

from __future__ import annotations

from typing import Any

__all__ = ["Manager"]


class Manager:
    """One access after the other.

    Parameters
    ----------
    bus
        Something with the AXI4-Lite signals as attributes, or their dict by port name.
    """

    def __init__(self, bus: Any) -> None:
        if isinstance(bus, dict):
            self._signal = lambda name: bus[f"s_axil_{name}"]
        else:
            self._signal = lambda name: getattr(bus, name)

    async def write(self, ctx: Any, address: int, value: int, strobe: int = 15) -> int:
        """Write a word; return the response."""
        s = self._signal
        for name, setting in (("awaddr", address), ("awvalid", 1), ("wdata", value),
                              ("wstrb", strobe), ("wvalid", 1), ("bready", 1)):
            ctx.set(s(name), setting)
        await ctx.tick().until(s("awready") & s("wready"))
        ctx.set(s("awvalid"), 0)
        ctx.set(s("wvalid"), 0)
        response, = await ctx.tick().sample(s("bresp")).until(s("bvalid"))
        ctx.set(s("bready"), 0)
        return getattr(response, "value", response)

    async def read(self, ctx: Any, address: int) -> tuple[int, int]:
        """Read a word; return it and the response."""
        s = self._signal
        ctx.set(s("araddr"), address)
        ctx.set(s("arvalid"), 1)
        ctx.set(s("rready"), 1)
        await ctx.tick().until(s("arready"))
        ctx.set(s("arvalid"), 0)
        value, response = await ctx.tick().sample(s("rdata"), s("rresp")).until(s("rvalid"))
        ctx.set(s("rready"), 0)
        return value, getattr(response, "value", response)
