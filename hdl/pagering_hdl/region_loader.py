"""Puts the pages of a new region on its pool's ring, and takes those of a retired pool away."""

from amaranth.hdl import Assert, Cat, Module, Mux, Signal, unsigned
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from .layouts import Enrolment, Index
from .page_table import STEPS, Load
from .region_table import Region
from .state_table import Lookup

__all__ = ["LoaderCommand", "RegionLoader"]


class LoaderCommand(data.Struct):
    """Register one region, or retire all regions of a pool."""

    retire: unsigned(1)
    slot: unsigned(8)
    region: Region
    """The region (to retire: its pool counts)."""


class RegionLoader(wiring.Component):
    """Carries out one command after the other, a page a cycle.

    A region is registered in two passes. The first gives every page a new generation, so that no
    token of an earlier life fits; only then is the region valid, and returns for it are heard; the
    second puts the pages on the ring. In one pass a page could come back from the host while an
    old token of the next page still fitted.

    Pages of a retired pool that came back just before may still be on their way through the page
    table: its ring is emptied when they are there.

    Members
    -------
    commands : :py:`In(stream.Signature(LoaderCommand))`
    valid : :py:`In(regions)`, slot : :py:`Out(Lookup(8, Index))`
        The region table, to read ...
    write_en, set_valid, clear_valid : :py:`Out(1)`, write_slot : :py:`Out(8)`,
    write : :py:`Out(Region)`
        ... and to write.
    loads : :py:`Out(stream.Signature(Load))`
        To the page table.
    enrolments : :py:`Out(stream.Signature(Enrolment))`, retire : :py:`Out(stream.Signature(Index))`
        To the ring.
    loading : :py:`Out(1)`, loading_slot : :py:`Out(8)`
        The region that is being registered.
    idle : :py:`Out(1)`
    """

    def __init__(self, config):
        self.config = config
        super().__init__({
            "commands": In(stream.Signature(LoaderCommand)),
            "valid": In(config.regions), "slot": Out(Lookup(8, Index)),
            "write_en": Out(1), "set_valid": Out(1), "clear_valid": Out(1),
            "write_slot": Out(8), "write": Out(Region),
            "loads": Out(stream.Signature(Load)),
            "enrolments": Out(stream.Signature(Enrolment)),
            "retire": Out(stream.Signature(Index)),
            "loading": Out(1), "loading_slot": Out(8), "idle": Out(1),
        })

    def elaborate(self, platform):
        m = Module()
        config, command = self.config, self.commands.p
        slot, place = Signal(8), Signal(config.region_pages_log2)
        page = Cat(place, slot)
        last, waited = Signal(), Signal(range(STEPS + 1))
        pool = command.region.pool
        registered, owner = Signal(), Signal(Index)
        m.d.sync += [registered.eq(self.valid.bit_select(slot, 1)), owner.eq(self.slot.data)]
        m.d.comb += [
            last.eq(place == config.region_pages - 1),
            self.slot.addr.eq(slot), self.write_slot.eq(slot), self.write.eq(command.region),
            self.loads.p.page.eq(page), self.loads.p.retire.eq(command.retire),
            self.enrolments.p.page.eq(page), self.enrolments.p.pool.eq(pool),
            self.enrolments.p.new.eq(1), self.retire.payload.eq(pool),
            self.loading.eq(self.commands.valid & ~command.retire),
            self.loading_slot.eq(command.slot),
            self.idle.eq(~self.commands.valid),
        ]
        with m.FSM(name="loader") as loader:
            with m.State("Await command"):
                m.d.sync += [place.eq(0), slot.eq(Mux(command.retire, 0, command.slot))]
                with m.If(self.commands.valid):
                    m.next = "Look up region"
            with m.State("Look up region"):
                m.next = "Find region"
            with m.State("Find region"):
                with m.If(~command.retire):
                    m.d.comb += self.write_en.eq(1)
                    m.next = "Renew pages"
                with m.Elif(registered & (owner == pool)):
                    m.d.comb += self.clear_valid.eq(1)
                    m.next = "Renew pages"
                with m.Else():
                    m.next = "Next region"
            with m.State("Renew pages"):
                m.d.comb += self.loads.valid.eq(1)
                with m.If(self.loads.ready):
                    m.d.sync += place.eq(place + 1)
                    with m.If(last):
                        m.d.sync += place.eq(0)
                        m.next = "Next region"
                        with m.If(~command.retire):
                            m.next = "Admit region"
            with m.State("Admit region"):
                # The page table finishes the last renewal before it looks at a later return.
                m.d.comb += self.set_valid.eq(1)
                m.next = "Enrol pages"
            with m.State("Enrol pages"):
                m.d.comb += self.enrolments.valid.eq(1)
                with m.If(self.enrolments.ready):
                    m.d.sync += place.eq(place + 1)
                    with m.If(last):
                        m.d.comb += self.commands.ready.eq(1)
                        m.next = "Await command"
            with m.State("Next region"):
                m.d.sync += slot.eq(slot + 1)
                m.next = "Look up region"
                with m.If(slot == config.regions - 1):
                    m.next = "Await pages"
            with m.State("Await pages"):
                # Then they are on offer to the ring, which takes them first.
                m.d.sync += waited.eq(waited + 1)
                with m.If(waited == STEPS):
                    m.d.sync += waited.eq(0)
                    m.next = "Empty ring"
            with m.State("Empty ring"):
                m.d.comb += self.retire.valid.eq(1)
                with m.If(self.retire.ready):
                    m.d.comb += self.commands.ready.eq(1)
                    m.next = "Await command"
        m.d.sync += Assert(loader.ongoing("Await command") | self.commands.valid)
        m.d.sync += Assert(loader.ongoing("Await command") | loader.ongoing("Await pages")
                           | loader.ongoing("Empty ring") | (slot < config.regions))
        return m
