"""What is known of a page, and what an operation makes of it."""

from amaranth.hdl import Const, Module, Mux, Signal
from amaranth.lib import data, enum, wiring
from amaranth.lib.wiring import In, Out

from .layouts import Fault, Generation

__all__ = ["EntryLogic", "NamedChunks", "Operation", "PageEntry", "Request", "held", "out"]


class Operation(enum.Enum, shape=3):
    """What happens to a page."""

    OPEN = 0
    """It leaves the ring for a queue."""
    DELIVER = 1
    """Chunks of it go to the host; maybe nothing more comes."""
    RETURN = 2
    """The host gives chunks back, or says so."""
    ENROL = 3
    """Its region is registered: its past is forgotten."""
    RETIRE = 4
    """Its region is taken away: who had it has it no longer."""


class PageEntry(data.StructLayout):
    """State of one page. Neither open nor with chunks at the host: on the ring.

    Members: ``chunks``, a bit for each one that the host holds; ``open``; ``queue``, the one that
    fills or filled it; ``generation``.
    """

    def __init__(self, config):
        super().__init__({"chunks": config.chunks, "open": 1, "queue": range(config.queues),
                          "generation": Generation})


def held(entry):
    """Return whether a page is off the ring."""
    return entry.open | entry.chunks.any()


def out(entry):
    """Return whether a page is off the ring and only the host has it."""
    return ~entry.open & entry.chunks.any()


class Request(data.StructLayout):
    """One operation on its way through the table, as wide as the card needs.

    Members: ``operation``, ``page``, ``queue``, ``first``, ``last``, ``generation``; ``none`` if
    it names no chunk; ``closes``.
    """

    def __init__(self, config):
        chunk = range(config.chunks)
        super().__init__({"operation": Operation, "page": range(config.pages),
                          "queue": range(config.queues), "first": chunk, "last": chunk,
                          "generation": Generation, "none": 1, "closes": 1})


class NamedChunks(wiring.Component):
    """A bit for each chunk that a request names. Without a clock.

    Members
    -------
    request : :py:`In(Request(config))`, named : :py:`Out(chunks)`
    """

    def __init__(self, config):
        self.chunks = config.chunks
        super().__init__({"request": In(Request(config)), "named": Out(config.chunks)})

    def elaborate(self, platform):
        m = Module()
        request, ones = self.request, Const((1 << self.chunks) - 1, self.chunks)
        m.d.comb += self.named.eq(Mux(request.none, 0, (ones << request.first)
                                      & (ones >> (self.chunks - 1 - request.last)[:6])))
        return m


class Effect(enum.Enum, shape=2):
    """What happens to the bits of the chunks."""

    NONE = 0
    SET = 1
    CLEAR = 2
    CLEAR_ALL = 3


class EntryLogic(wiring.Component):
    """What an operation makes of an entry. Without a clock.

    Members
    -------
    request : :py:`In(Request(config))`, named : :py:`In(chunks)`
        The operation, and the chunks that it names.
    old : :py:`In(PageEntry(config))`
    new : :py:`Out(PageEntry(config))`
        Equal to ``old`` if the operation is refused.
    refused : :py:`Out(1)`, fault : :py:`Out(Fault)`
    """

    def __init__(self, config):
        entry = PageEntry(config)
        super().__init__({
            "request": In(Request(config)), "named": In(config.chunks), "old": In(entry),
            "new": Out(entry), "refused": Out(1), "fault": Out(Fault),
        })

    def elaborate(self, platform):
        m = Module()
        request, old, new, effect = self.request, self.old, self.new, Signal(Effect)
        m.d.comb += new.eq(old)
        with m.Switch(request.operation):
            with m.Case(Operation.OPEN):
                m.d.comb += [effect.eq(Effect.CLEAR_ALL), new.open.eq(1),
                             new.queue.eq(request.queue), new.generation.eq(old.generation + 1)]
            with m.Case(Operation.DELIVER):
                m.d.comb += [effect.eq(Effect.SET), new.open.eq(old.open & ~request.closes)]
            with m.Case(Operation.RETURN):
                # A page on the ring still tells who had it: a second return is told apart from a
                # stranger's.
                with m.If(old.queue != request.queue):
                    m.d.comb += [self.refused.eq(1), self.fault.eq(Fault.RETURN_OWNER)]
                with m.Elif(old.generation != request.generation):
                    m.d.comb += [self.refused.eq(1), self.fault.eq(Fault.RETURN_GENERATION)]
                with m.Elif((self.named & ~old.chunks).any()):
                    m.d.comb += [self.refused.eq(1), self.fault.eq(Fault.RETURN_IDLE)]
                with m.Else():
                    m.d.comb += effect.eq(Effect.CLEAR)
            with m.Case(Operation.ENROL, Operation.RETIRE):
                m.d.comb += [effect.eq(Effect.CLEAR_ALL), new.open.eq(0),
                             new.generation.eq(old.generation + 1)]
        with m.Switch(effect):
            with m.Case(Effect.SET):
                m.d.comb += new.chunks.eq(old.chunks | self.named)
            with m.Case(Effect.CLEAR):
                m.d.comb += new.chunks.eq(old.chunks & ~self.named)
            with m.Case(Effect.CLEAR_ALL):
                m.d.comb += new.chunks.eq(0)
        return m
