"""A small AXI write master with the ports of the card, to try the bench's models on.

It knows nothing of pages: every beat of the input stream becomes one beat of a write burst, with
``tkeep`` as ``WSTRB``, and bursts go to rising addresses. Registers let a test choose the address
and make the master break a rule on purpose, so that a test can see the models object.

========  ======================================================================================
offset    register
========  ======================================================================================
``0x00``  reads 0x50475247
``0x04``  holds any value; 0xDEAD breaks an assertion of the design
``0x08``  address of the next burst, low half (a write also clears the counts of responses)
``0x0C``  address of the next burst, high half
``0x10``  bits 7:0 beats per burst less one; bit 8: ``WLAST`` inverted; bit 9: FIXED bursts
``0x14``  bits 15:0 write responses taken; bits 31:16 those that were errors
``0x18``  value on the interrupt lines
``0x20``  and up: answers with SLVERR
========  ======================================================================================
"""

from __future__ import annotations

from typing import Any

from amaranth.back import verilog
from amaranth.hdl import Assert, Cat, ClockDomain, ClockSignal, Module, ResetSignal, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from pagering_hdl.generate import plain

__all__ = ["Writer", "writer_verilog"]


class Writer(wiring.Component):  # type: ignore[misc]
    """The stand-in card.

    Parameters
    ----------
    bus_bits : int
        Width of both the stream and the memory bus.
    queues : int
        Interrupt lines, less one.
    in_flight : int
        Bursts that may await their response.
    """

    def __init__(self, bus_bits: int = 64, queues: int = 1, in_flight: int = 64) -> None:
        lanes = bus_bits // 8
        self.lanes, self.in_flight = lanes, in_flight
        super().__init__({
            "clk": In(1), "rst": In(1), "irq": Out(queues + 1), "pause_req": Out(1),
            "s_axis_rx_tdata": In(bus_bits), "s_axis_rx_tkeep": In(lanes),
            "s_axis_rx_tvalid": In(1), "s_axis_rx_tready": Out(1), "s_axis_rx_tlast": In(1),
            "s_axis_rx_tuser": In(1),
            "m_axi_awid": Out(1), "m_axi_awaddr": Out(64), "m_axi_awlen": Out(8),
            "m_axi_awsize": Out(3), "m_axi_awburst": Out(2), "m_axi_awlock": Out(1),
            "m_axi_awcache": Out(4), "m_axi_awprot": Out(3), "m_axi_awvalid": Out(1),
            "m_axi_awready": In(1), "m_axi_wdata": Out(bus_bits), "m_axi_wstrb": Out(lanes),
            "m_axi_wlast": Out(1), "m_axi_wvalid": Out(1), "m_axi_wready": In(1),
            "m_axi_bid": In(1), "m_axi_bresp": In(2), "m_axi_bvalid": In(1),
            "m_axi_bready": Out(1),
            "m_axi_arid": Out(1), "m_axi_araddr": Out(64), "m_axi_arlen": Out(8),
            "m_axi_arsize": Out(3), "m_axi_arburst": Out(2), "m_axi_arlock": Out(1),
            "m_axi_arcache": Out(4), "m_axi_arprot": Out(3), "m_axi_arvalid": Out(1),
            "m_axi_arready": In(1), "m_axi_rid": In(1), "m_axi_rdata": In(bus_bits),
            "m_axi_rresp": In(2), "m_axi_rlast": In(1), "m_axi_rvalid": In(1),
            "m_axi_rready": Out(1),
            "s_axil_awaddr": In(20), "s_axil_awprot": In(3), "s_axil_awvalid": In(1),
            "s_axil_awready": Out(1), "s_axil_wdata": In(32), "s_axil_wstrb": In(4),
            "s_axil_wvalid": In(1), "s_axil_wready": Out(1), "s_axil_bresp": Out(2),
            "s_axil_bvalid": Out(1), "s_axil_bready": In(1), "s_axil_araddr": In(20),
            "s_axil_arprot": In(3), "s_axil_arvalid": In(1), "s_axil_arready": Out(1),
            "s_axil_rdata": Out(32), "s_axil_rresp": Out(2), "s_axil_rvalid": Out(1),
            "s_axil_rready": In(1),
        })

    def elaborate(self, platform: Any) -> Module:
        """Build the module."""
        m = Module()
        m.domains.sync = ClockDomain()
        m.d.comb += [ClockSignal().eq(self.clk), ResetSignal().eq(self.rst)]
        address, scratch = Signal(64), Signal(32)
        beats, wrong_last, fixed = Signal(8, init=31), Signal(), Signal()
        responses, errors = Signal(16), Signal(16)
        with m.If(self.m_axi_bvalid):
            m.d.sync += [responses.eq(responses + 1),
                         errors.eq(errors + (self.m_axi_bresp != 0))]
        m.d.sync += Assert(scratch != 0xDEAD)
        self._bursts(m, address, beats, wrong_last, fixed)
        self._register_writes(m, {1: scratch, 2: address[:32], 3: address[32:],
                                  4: Cat(beats, wrong_last, fixed), 6: self.irq},
                              Cat(responses, errors))
        self._register_reads(m, (0x50475247, scratch, address[:32], address[32:],
                                 Cat(beats, wrong_last, fixed), Cat(responses, errors), self.irq))
        return m

    def _bursts(self, m: Module, address: Signal, beats: Signal, wrong_last: Signal,
                fixed: Signal) -> None:
        # The first beat and its address become valid together, one cycle after the stream's beat.
        beat, waiting, first, take = Signal(8), Signal(16), Signal(), Signal()
        m.d.comb += [
            first.eq(beat == 0), self.m_axi_bready.eq(1),
            self.m_axi_awsize.eq(self.lanes.bit_length() - 1), self.m_axi_awburst.eq(~fixed),
            self.s_axis_rx_tready.eq(
                (~self.m_axi_wvalid | self.m_axi_wready)
                & (~first | ((~self.m_axi_awvalid | self.m_axi_awready)
                             & (waiting < self.in_flight)))),
            take.eq(self.s_axis_rx_tvalid & self.s_axis_rx_tready),
        ]
        m.d.sync += waiting.eq(waiting + (take & first) - self.m_axi_bvalid)
        with m.If(self.m_axi_awready):
            m.d.sync += self.m_axi_awvalid.eq(0)
        with m.If(self.m_axi_wready):
            m.d.sync += self.m_axi_wvalid.eq(0)
        with m.If(take):
            m.d.sync += [
                self.m_axi_wvalid.eq(1), self.m_axi_wdata.eq(self.s_axis_rx_tdata),
                self.m_axi_wstrb.eq(self.s_axis_rx_tkeep),
                self.m_axi_wlast.eq((beat == beats) ^ wrong_last),
                beat.eq(beat + 1),
            ]
            with m.If(beat == beats):
                m.d.sync += beat.eq(0)
            with m.If(first):
                m.d.sync += [self.m_axi_awvalid.eq(1), self.m_axi_awaddr.eq(address),
                             self.m_axi_awlen.eq(beats),
                             address.eq(address + ((beats + 1) * self.lanes))]

    def _register_writes(self, m: Module, registers: dict[int, Any], counts: Any) -> None:
        wrote = Signal()
        m.d.comb += [
            wrote.eq(self.s_axil_awvalid & self.s_axil_wvalid
                     & (~self.s_axil_bvalid | self.s_axil_bready)),
            self.s_axil_awready.eq(wrote), self.s_axil_wready.eq(wrote),
        ]
        with m.If(self.s_axil_bready):
            m.d.sync += self.s_axil_bvalid.eq(0)
        with m.If(wrote):
            m.d.sync += [self.s_axil_bvalid.eq(1),
                         self.s_axil_bresp.eq(Cat(0, self.s_axil_awaddr[5:] != 0))]
            with m.Switch(self.s_axil_awaddr[2:]):
                for index, target in registers.items():
                    with m.Case(index):
                        m.d.sync += target.eq(self.s_axil_wdata)
                        if index == 2:
                            m.d.sync += counts.eq(0)

    def _register_reads(self, m: Module, words: tuple[Any, ...]) -> None:
        m.d.comb += self.s_axil_arready.eq(~self.s_axil_rvalid | self.s_axil_rready)
        with m.If(self.s_axil_rready):
            m.d.sync += self.s_axil_rvalid.eq(0)
        with m.If(self.s_axil_arvalid & self.s_axil_arready):
            m.d.sync += [self.s_axil_rvalid.eq(1), self.s_axil_rdata.eq(0),
                         self.s_axil_rresp.eq(Cat(0, self.s_axil_araddr[5:] != 0))]
            with m.Switch(self.s_axil_araddr[2:]):
                for index, word in enumerate(words):
                    with m.Case(index):
                        m.d.sync += self.s_axil_rdata.eq(word)


def writer_verilog(bus_bits: int = 64, queues: int = 1, in_flight: int = 64) -> str:
    """Return the stand-in card as Verilog, under the card's module name."""
    return plain(verilog.convert(Writer(bus_bits, queues, in_flight), name="pagering_rx",
                                 emit_src=False))
