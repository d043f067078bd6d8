"""What admission remembers of each queue and pool."""

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .admission_need import OpenPage
from .layouts import Count, Index, RingIndex
from .pacing import Pace
from .state_table import Lookup, StateTable

__all__ = ["AdmissionTables"]


class AdmissionTables(wiring.Component):
    """State of one queue and of one pool at a time, read and written in the same cycle.

    On a card whose decisions take cycles, what is written arrives a cycle later: no decision reads
    before its second.

    Members
    -------
    queue, pool : :py:`In(Index)`
        Whose state is read and written.
    headers, payload : :py:`Out(OpenPage)`, produced : :py:`Out(RingIndex)`,
    granted : :py:`Out(Count)`
        The queue's open pages, completions given to frames, and pages given to it.
    pool_granted, peak : :py:`Out(Count)`
        The pool's pages granted, and the most that were off its ring.
    set_NAME : :py:`In(1)`, new_NAME : In of the same shape
        Write one of these.
    queue_granted, pool_granted_read, pool_peak : :py:`In(Lookup(Index, Count))`
        For others to read.
    """

    ROWS = {"headers": OpenPage, "payload": OpenPage, "produced": RingIndex, "granted": Count,
            "pool_granted": Count, "peak": Count}

    def __init__(self, config):
        self.config = config
        super().__init__({
            "queue": In(Index), "pool": In(Index),
            **{name: Out(shape) for name, shape in self.ROWS.items()},
            **{f"set_{name}": In(1) for name in self.ROWS},
            **{f"new_{name}": In(shape) for name, shape in self.ROWS.items()},
            "queue_granted": In(Lookup(Index, Count)), "pool_peak": In(Lookup(Index, Count)),
            "pool_granted_read": In(Lookup(Index, Count)),
        })

    def elaborate(self, platform):
        m = Module()
        pace = Pace(m, (0,) if self.config.admission_cuts else ())
        written = {"queue": pace.keep(0, self.queue, "queue_written"),
                   "pool": pace.keep(0, self.pool, "pool_written")}
        others = {"granted": [self.queue_granted], "peak": [self.pool_peak],
                  "pool_granted": [self.pool_granted_read]}
        for name, shape in self.ROWS.items():
            of = "pool" if name in ("pool_granted", "peak") else "queue"
            asked = others.get(name, [])
            depth = self.config.pools if of == "pool" else self.config.queues
            table = StateTable(shape, depth=depth, reads=1 + len(asked))
            m.submodules[f"{name}_table"] = table
            m.d.comb += [
                table.read[0].addr.eq(getattr(self, of)),
                getattr(self, name).eq(table.read[0].data), table.write.addr.eq(written[of]),
                table.write.en.eq(pace.keep(0, getattr(self, f"set_{name}"), f"{name}_set")),
                table.write.data.eq(pace.keep(0, getattr(self, f"new_{name}"), f"{name}_new")),
            ]
            for question, port in zip(asked, table.read[1:], strict=True):
                wiring.connect(m, wiring.flipped(question), port)
        return m
