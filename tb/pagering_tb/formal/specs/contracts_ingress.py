"""The contract of every stream from the wire to admission."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Assert, Assume, Cat, Signal

from pagering_hdl.arrival_queue import ArrivalQueue
from pagering_hdl.default_queue import DefaultQueue
from pagering_hdl.dissector import Dissector
from pagering_hdl.fact_finder import FactFinder
from pagering_hdl.frame_gate import BeatCounter
from pagering_hdl.packet_fifo import PacketFifo
from pagering_hdl.packet_reader import Realigner
from pagering_hdl.plain_dissector import PlainDissector
from pagering_hdl.preview import PreviewedPlace
from pagering_hdl.steering import Steering
from pagering_hdl.streams import StreamBuffer, StreamQueue
from pagering_tb.formal.contract import Offers
from pagering_tb.formal.mutant import Mutant

__all__ = ["ArrivalQueueOffers", "BeatCounterOffers", "DefaultQueueOffers", "DissectorOffers",
           "FactFinderOffers", "PacketFifoOffers", "PlainDissectorOffers", "RealignerOffers",
           "SteeringOffers"]

_BUFFER = Mutant(StreamBuffer, "elaborate", "~self.o.valid | self.o.ready", "1")

_ARRIVALS = Mutant(ArrivalQueue, "elaborate", "~arrivals.valid | arrivals.ready", "1")

_BLOCK = Mutant(StreamQueue, "_fetch", "(~self.o.valid | self.o.ready)", "1")


class BeatCounterOffers(Offers):
    """Beats whose bytes are counted."""

    part = "frame_gate"
    mutants = (Mutant(BeatCounter, "elaborate", "~valid | self.o.ready", "1"),)

    def __init__(self) -> None:
        super().__init__()
        self.dut = BeatCounter(16)


class PacketFifoOffers(Offers):
    """Beats of frames, shifted down where a frame is read in parts."""

    part = "packet_fifo"
    memories = False
    mutants = (_BUFFER,
               Mutant(Realigner, "elaborate", "self.fetched.valid & self.fetched.ready & ",
                      "self.fetched.valid & "))

    def __init__(self) -> None:
        super().__init__()
        self.dut = PacketFifo(64, 16)


class RealignerOffers(Offers):
    """The same, of a beat that is there."""

    part = "packet_reader"
    mutants = (Mutant(Realigner, "elaborate", "self.fetched.valid & self.fetched.ready & ",
                      "self.fetched.valid & "),)

    def __init__(self) -> None:
        super().__init__()
        self.dut = Realigner(64)


class DissectorOffers(Offers):
    """Frames taken apart, whatever is found in them."""

    part = "dissector"
    memories = False
    unseen = ("sums", "facts")
    reach = 8
    mutants = (_BLOCK,)

    def __init__(self) -> None:
        super().__init__()
        self.dut = Dissector(128)


class FactFinderOffers(Offers):
    """The same on a narrow card, which has no queue: what is found stays where it is found."""

    part = "fact_finder"
    steps = 6
    mutants = (Mutant(PreviewedPlace, "elaborate", "self.comes | stays", "self.comes"),
               Mutant(PreviewedPlace, "elaborate", "self.reached & ~stays", "self.reached"),
               Mutant(FactFinder, "elaborate", "place.comes | (not self.holds)", "1"))

    def __init__(self) -> None:
        super().__init__()
        self.dut = FactFinder(holds=True)

    def surroundings(self, m: Any, dut: Any) -> None:
        """The dissector takes one frame at a time."""
        part, under_way = self.dut, Signal(3)
        ends = part.final & part.ending.keep
        m.d.sync += under_way.eq(Cat(ends, under_way))
        m.d.comb += [
            Assume(~ends | ~(under_way.any() | part.dissections.valid)),
            Assume(~(part.reached & part.final)),
            # What induction has to know.
            Assert(dut.submodules.place.comes == under_way[2]),
            Assert(~((under_way.any() | part.preview.shown) & part.dissections.valid)),
            Assert((under_way & (under_way - 1)) == 0),
        ]


class PlainDissectorOffers(Offers):
    """How long frames are and when they came, of a card that does not take them apart."""

    part = "plain_dissector"
    memories = False
    mutants = (_BLOCK,)

    def __init__(self) -> None:
        super().__init__()
        self.dut = PlainDissector(64, 4)


class ArrivalQueueOffers(Offers):
    """Frames that wait for admission, whatever they are."""

    part = "arrival_queue"
    memories = False
    mutants = (_ARRIVALS,)

    def __init__(self) -> None:
        super().__init__()
        self.dut = ArrivalQueue(4)


class SteeringOffers(Offers):
    """Frames that know where they go, whatever is found out about them."""

    part = "steering"
    memories = False
    unseen = ("addresses", "indirection", "rules", "toeplitz", "vlans")
    reach = 32
    mutants = (_ARRIVALS,)

    def __init__(self) -> None:
        super().__init__()
        self.dut = Steering(512)


class DefaultQueueOffers(Offers):
    """The same, of a card that does not steer, whatever the host sets meanwhile."""

    part = "default_queue"
    mutants = (Mutant(DefaultQueue, "elaborate", "Mux(waits, kept, chosen)", "chosen"),)

    def __init__(self) -> None:
        super().__init__()
        self.dut = DefaultQueue()
