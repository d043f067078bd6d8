"""The contract of what stands between two parts: buffers, relays and queues."""

from __future__ import annotations

from pagering_hdl.streams import StreamBuffer, StreamQueue, StreamRelay, StreamSkid
from pagering_tb.formal.contract import Offers
from pagering_tb.formal.mutant import Mutant

__all__ = ["BlockQueueOffers", "StreamBufferOffers", "StreamQueueOffers", "StreamRelayOffers",
           "StreamSkidOffers"]


class StreamBufferOffers(Offers):
    """Whatever comes in."""

    part = "streams"
    mutants = (Mutant(StreamBuffer, "elaborate", "~self.o.valid | self.o.ready", "1"),)

    def __init__(self) -> None:
        super().__init__()
        self.dut = StreamBuffer(4)


class StreamRelayOffers(Offers):
    """The same, with ready cut as well."""

    part = "streams"
    mutants = (Mutant(StreamRelay, "elaborate", "self.i.ready.eq(~self.o.valid)",
                      "self.i.ready.eq(1)"),
               Mutant(StreamRelay, "elaborate", "m.Elif(self.o.ready)", "m.Else()"))

    def __init__(self) -> None:
        super().__init__()
        self.dut = StreamRelay(4)


class StreamSkidOffers(Offers):
    """The same at full throughput."""

    part = "streams"
    mutants = (Mutant(StreamSkid, "elaborate", "~self.o.valid | self.o.ready", "1"),)

    def __init__(self) -> None:
        super().__init__()
        self.dut = StreamSkid(4)


class StreamQueueOffers(Offers):
    """Of distributed RAM."""

    part = "streams"
    mutants = (Mutant(StreamQueue, "elaborate", "leaves.eq(self.o.valid & self.o.ready)",
                      "leaves.eq(self.o.valid)"),)

    def __init__(self) -> None:
        super().__init__()
        self.dut = StreamQueue(4, depth=4)


class BlockQueueOffers(Offers):
    """Of block RAM, which may hold anything."""

    part = "streams"
    memories = False
    mutants = (Mutant(StreamQueue, "_fetch", "(~self.o.valid | self.o.ready)", "1"),)

    def __init__(self) -> None:
        super().__init__()
        self.dut = StreamQueue(4, depth=4, block=True)
