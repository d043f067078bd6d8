"""Whether a frame gets memory: by counts, so the counts must be right for ever."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Array, Assert, Assume, Cat, Mux, Signal

from pagering_hdl.admission import Admission
from pagering_hdl.admission_rules import AdmissionRules
from pagering_hdl.layouts import Kind, PoolCounts, QueueSettings
from pagering_tb.formal.contract import assume_inputs
from pagering_tb.formal.mutant import Mutant
from pagering_tb.formal.specification import Specification, opened, rows, small

__all__ = ["LimitsAreKept"]


class LimitsAreKept(Specification):
    """Two queues and two pools, limits and settings that may be any, and a host that plays fair.

    Pages come back in any order, more are registered, frames may have any length and be split
    between any pools. The card decides each frame in a cycle: a narrow card does the same in more.
    """

    part = "admission"
    promise = "pages off a ring are within limit and quota, and never more than were on it"
    steps = 2
    reach = 14
    mutants = (
        Mutant(AdmissionRules, "elaborate", "needs & (off_ring > self.limit)",
               "needs & (off_ring > self.limit + 1)"),
        Mutant(AdmissionRules, "elaborate", "needs & (here > free)", "needs & (free == 0)"),
        Mutant(AdmissionRules, "elaborate", "needs & (queue_held > self.settings.quota)",
               "needs & (queue_held == self.settings.quota)"),
        Mutant(AdmissionRules, "elaborate", "self.pages + self.before_here", "self.pages"),
        Mutant(Admission, "_charge_headers", "self.charging.eq(1), ", ""),
    )
    PAGES = 4

    def __init__(self) -> None:
        super().__init__()
        self.dut = Admission(small(bus_bits=512, max_frame=1000))
        self.tied = tuple(f"{name}__data" for name in (
            "settings", "recycled", "limit", "counts"))

    def specify(self, m: Any, dut: Any) -> dict[str, Any]:
        part, pair = self.dut, range(2)
        assume_inputs(m, part)
        tables = opened(dut.submodules.tables).submodules
        every = [tables[f"{name}_table"] for name in part.tables.ROWS]
        self.clearing = Cat(table.sweeping for table in every).any()
        self.quiet(m, *every, busy=part.arrivals.valid | part.marks.valid)
        m.d.comb += [Assume(part.arrivals.p.length != 0), Assume(part.marks.p.index < 2)]
        settings = Array(self.constant(m, QueueSettings, f"settings_{n}") for n in pair)
        limits = Array(self.constant(m, 17, f"limit_{n}") for n in pair)
        counts = Array(Signal(PoolCounts, name=f"counts_{n}") for n in pair)
        recycled = Array(Signal(17, name=f"recycled_{n}") for n in pair)
        for name, table in (("settings", settings), ("limit", limits), ("counts", counts),
                            ("recycled", recycled)):
            lookup = getattr(part, name)
            answer = lookup.data.as_value() if hasattr(lookup.data, "as_value") else lookup.data
            row = [item.as_value() if hasattr(item, "as_value") else item for item in table]
            m.d.comb += answer.eq(Array(row)[lookup.addr[0]])
        # What induction has to know of headers that are as good as granted.
        m.d.comb += [Assert(~(part.second | part.charging)
                            | (~self.clearing & (part.headers.share.pool < 2))),
                     Assert(~part.second | part.chooser.split)]
        self._grants(m)
        free, off = self._pools(m, rows(m, tables.pool_granted_table.rows), counts, limits)
        held = self._queues(m, rows(m, tables.granted_table.rows), settings, recycled)
        grants = part.grants.valid & part.grants.ready & part.grants.p.frame.opens
        return {
            "the last page is granted": grants & (free[0] == 1) & (off[0] == 1),
            "headers and payload of two pools": part.charging & (free[0] == 0),
            "held by both queues": (held[0] == 1) & (held[1] == 1),
        }

    def _grants(self, m: Any) -> None:
        """Count what leaves in grants: pages given out of each pool, and to each queue."""
        part, grant = self.dut, self.dut.grants.p
        self.given = [Signal(17, name=f"given_of_pool_{n}") for n in range(2)]
        self.given_to = [Signal(17, name=f"given_to_queue_{n}") for n in range(2)]
        pages = (grant.frame.top >> 12) + 1
        to_frame = Mux(grant.frame.opens, pages, 0)
        to_headers = grant.split & grant.headers.opens
        with m.If(part.grants.valid & part.grants.ready & (grant.kind == Kind.SEGMENT)):
            for n, (of, to) in enumerate(zip(self.given, self.given_to, strict=True)):
                m.d.sync += of.eq(of + Mux(grant.frame.pool == n, to_frame, 0)
                                  + (to_headers & (grant.headers.pool == n)))
                with m.If(grant.index == n):
                    m.d.sync += to.eq(to + to_frame + to_headers)

    def _pools(self, m: Any, granted: list[Any], counts: Any,
               limits: Any) -> tuple[list[Any], list[Any]]:
        """Pages are registered and come back; what is granted follows from the part."""
        part, found_free, found_off = self.dut, [], []
        for pool, row in enumerate(granted):
            count, limit = counts[pool], limits[pool]
            enrols, comes = Signal(name=f"enrols_{pool}"), Signal(name=f"comes_back_{pool}")
            self.free += [enrols, comes]
            charged = part.charging & (part.headers.share.pool == pool)
            total = Mux(charged, part.headers.granted, row)
            free, off = Signal(17, name=f"free_{pool}"), Signal(17, name=f"off_ring_{pool}")
            m.d.comb += [
                free.eq(count.pushed - total), off.eq(count.registered - free),
                Assume(~comes | (off != 0)),
                Assume(~enrols | (~self.clearing & (count.registered < self.PAGES))),
                Assert(~self.clearing | (count.as_value() == 0)),
                Assert(count.registered <= self.PAGES), Assert(free <= count.registered),
                Assert(total == self.given[pool]), Assert(off <= limit),
                Assert(~self.clearing | (row == 0)),
            ]
            m.d.sync += [count.pushed.eq(count.pushed + enrols + comes),
                         count.registered.eq(count.registered + enrols)]
            # The headers of a frame whose payload is being looked at are as good as granted.
            ours = (part.second | part.charging) & (part.headers.share.pool == pool)
            with m.If(ours):
                after = Signal(17)
                m.d.comb += [
                    after.eq(count.pushed - part.headers.granted),
                    Assert(part.headers.granted == (row + part.headers.share.opens)[:17]),
                    Assert(after <= count.registered),
                    Assert((count.registered - after)[:17] <= limit),
                ]
            found_free.append(free)
            found_off.append(off)
        return found_free, found_off

    def _queues(self, m: Any, granted: list[Any], settings: Any, recycled: Any) -> list[Any]:
        part, found = self.dut, []
        m.d.comb += Assert(~part.second | part.arrivals.valid & (part.arrivals.p.queue < 2))
        for queue, row in enumerate(granted):
            held, leaves = Signal(17, name=f"held_{queue}"), Signal(name=f"leaves_{queue}")
            self.free.append(leaves)
            m.d.comb += [held.eq(row - recycled[queue]), Assume(~leaves | (held != 0)),
                         Assert(held <= settings[queue].quota),
                         Assert(row == self.given_to[queue]),
                         Assert(~part.second | (part.arrivals.p.queue != queue)
                                | (held + part.headers.share.opens <= settings[queue].quota)),
                         Assert(~self.clearing | (recycled[queue] == 0) & (row == 0))]
            m.d.sync += recycled[queue].eq(recycled[queue] + leaves)
            found.append(held)
        return found
