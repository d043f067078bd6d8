"""The way of pages: off the ring, under a segment, to the host and back on the ring."""

from amaranth.lib import wiring

from .assembly import Assembly
from .layouts import Enrolment
from .page_opener import PageOpener
from .page_table import Delivery, PageTable
from .placer import Placer
from .recycle_ring import RecycleRing
from .region_loader import RegionLoader
from .region_table import RegionTable
from .streams import StreamBuffer, StreamRelay

__all__ = ["PageStore"]


class PageStore(Assembly):
    """Knows every page: where it is, who has it, and which ones are free.

    ::

        orders -> opener <- ring <- enrolments <- loader <- commands
                   |   |               ^
             fresh |   | opens         | recycled
                   v   v               |
        placed -> placer pages --------+
                   |     ^   ^
                   v     |   +-- returns
          placements     +------ deliveries
    """

    def __init__(self, config):
        self.config = config
        if config.short_cuts:
            # On a narrow bus there is time. The page table takes what waits here before any token.
            self.delivered = StreamRelay(Delivery)
        self.opener = PageOpener()
        self.placer = Placer(config)
        self.enrolments = StreamBuffer(Enrolment)
        self.ring = RecycleRing(config)
        self.pages = PageTable(config)
        self.regions = RegionTable(config)
        self.loader = RegionLoader(config)

    def wire(self, m, engine):
        self._open(m, engine)
        self._load(m, engine)
        pages = self.pages
        deliveries = engine.completions.deliverer.deliveries
        if self.config.short_cuts:
            wiring.connect(m, deliveries, self.delivered.i)
            deliveries = self.delivered.o
        wiring.connect(m, deliveries, pages.deliveries)
        wiring.connect(m, engine.returns.checker.checked, pages.returns)
        self._recycle(m)

    def _open(self, m, engine):
        """From the ring to the segment that a page is opened for."""
        opener, ring, pages, placer = self.opener, self.ring, self.pages, self.placer
        fork = engine.receive.segment_fork
        wiring.connect(m, fork.orders, opener.orders)
        wiring.connect(m, fork.placed, placer.segments)
        wiring.connect(m, opener.takes, ring.takes)
        wiring.connect(m, ring.pages, opener.pages)
        wiring.connect(m, opener.opens, pages.opens)
        wiring.connect(m, opener.fresh, placer.fresh)
        wiring.connect(m, placer.address, self.regions.address)
        wiring.connect(m, pages.owner, self.regions.owner)
        m.d.comb += [
            opener.opened.eq(pages.opened), opener.generation.eq(pages.generation),
            ring.lifo.eq(engine.registers.pool_registers.lifo),
        ]

    def _load(self, m, engine):
        """The pages of a region that is registered, or of a pool that retires."""
        loader, regions = self.loader, self.regions
        wiring.connect(m, engine.registers.region_registers.commands, loader.commands)
        wiring.connect(m, loader.loads, self.pages.loads)
        wiring.connect(m, loader.slot, regions.slot)
        wiring.connect(m, loader.retire, self.ring.retire)
        m.d.comb += [
            loader.valid.eq(regions.valid),
            regions.write_en.eq(loader.write_en), regions.write_slot.eq(loader.write_slot),
            regions.write.eq(loader.write), regions.set_valid.eq(loader.set_valid),
            regions.clear_valid.eq(loader.clear_valid),
        ]

    def _recycle(self, m):
        """Recycled pages first: the page table must never wait for the loader."""
        wiring.connect(m, self.enrolments.o, self.ring.enrolments)
        with m.If(self.pages.recycled.valid):
            wiring.connect(m, self.pages.recycled, self.enrolments.i)
        with m.Else():
            wiring.connect(m, self.loader.enrolments, self.enrolments.i)
