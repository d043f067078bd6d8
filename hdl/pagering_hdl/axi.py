"""The AMBA interfaces of the card, by the names of their signals.

Ref: ARM IHI 0022H (AXI4, AXI4-Lite), ARM IHI 0051A (AXI4-Stream).
"""

from amaranth.lib import enum, wiring
from amaranth.lib.wiring import In, Out

from pagering import abi

__all__ = ["AxiLite", "AxiRead", "AxiStream", "AxiWrite", "Response"]


class Response(enum.Enum, shape=2):
    """Ref: ARM IHI 0022H §A3.4.4."""

    OKAY = 0
    EXOKAY = 1
    SLVERR = 2
    DECERR = 3


class AxiStream(wiring.Signature):
    """Frames, as their sender drives them. ``tuser`` at the last beat: the frame is bad."""

    def __init__(self, bits):
        super().__init__({
            "tdata": Out(bits), "tkeep": Out(bits // 8), "tvalid": Out(1), "tready": In(1),
            "tlast": Out(1), "tuser": Out(1),
        })


class AxiWrite(wiring.Signature):
    """The write half of AXI4, as a manager drives it. One id: responses come in order."""

    def __init__(self, bits):
        super().__init__({
            "awid": Out(1), "awaddr": Out(64), "awlen": Out(8), "awsize": Out(3),
            "awburst": Out(2), "awlock": Out(1), "awcache": Out(4), "awprot": Out(3),
            "awvalid": Out(1), "awready": In(1),
            "wdata": Out(bits), "wstrb": Out(bits // 8), "wlast": Out(1), "wvalid": Out(1),
            "wready": In(1),
            "bid": In(1), "bresp": In(Response), "bvalid": In(1), "bready": Out(1),
        })


class AxiRead(wiring.Signature):
    """The read half of AXI4, as a manager drives it. One id: data comes in order."""

    def __init__(self, bits):
        super().__init__({
            "arid": Out(1), "araddr": Out(64), "arlen": Out(8), "arsize": Out(3),
            "arburst": Out(2), "arlock": Out(1), "arcache": Out(4), "arprot": Out(3),
            "arvalid": Out(1), "arready": In(1),
            "rid": In(1), "rdata": In(bits), "rresp": In(Response), "rlast": In(1),
            "rvalid": In(1), "rready": Out(1),
        })


class AxiLite(wiring.Signature):
    """AXI4-Lite over the card's register window, as a manager drives it."""

    def __init__(self):
        super().__init__({
            "awaddr": Out(abi.WINDOW_ADDRESS_BITS), "awprot": Out(3), "awvalid": Out(1),
            "awready": In(1),
            "wdata": Out(32), "wstrb": Out(4), "wvalid": Out(1), "wready": In(1),
            "bresp": In(Response), "bvalid": In(1), "bready": Out(1),
            "araddr": Out(abi.WINDOW_ADDRESS_BITS), "arprot": Out(3), "arvalid": Out(1),
            "arready": In(1),
            "rdata": In(32), "rresp": In(Response), "rvalid": In(1), "rready": Out(1),
        })
