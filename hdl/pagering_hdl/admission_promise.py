"""Decides ahead of time, on a card whose decisions take long and whose wire is often silent.

While no frame is here, admission tries the queues in turn with the longest frame there is. A queue
that would get memory for it is promised that: its next frame leaves as soon as it is known where it
goes, and is counted afterwards. Whatever is granted, every mark, and whatever the host sets of a
queue or pool, ends all promises.
"""

from amaranth.hdl import Module, Mux, Signal, unsigned
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from .admission_need import OpenPage
from .layouts import Index, Length, QueueSettings, Share

__all__ = ["Promise", "Promises"]


class Promise(data.Struct):
    """What a frame gets without being weighed."""

    valid: unsigned(1)
    share: Share
    closes: unsigned(1)
    """It does not fit in the open page, which is closed."""


class Promises(wiring.Component):
    """Knows which queues are promised their next frame, and what the frame here gets of it.

    Only of queues that split no frames: there all is known of a frame with its length.

    Members
    -------
    queue : :py:`In(Index)`
        Of the frame that is here, or else the one that is tried.
    length : :py:`In(Length)`, settings : :py:`In(QueueSettings)`, page : :py:`In(OpenPage)`
        Of the frame, and its queue.
    promise : :py:`Out(Promise)`
        Two cycles later.
    turn : :py:`Out(Index)`
        The queue to be tried next.
    tried : :py:`In(1)`, admitted : :py:`In(1)`
        Event: it has been tried, and whether it would get its memory.
    over : :py:`In(1)`
        Event: what was found out is no longer so.
    """

    queue: In(Index)
    length: In(Length)
    settings: In(QueueSettings)
    page: In(OpenPage)
    promise: Out(Promise)
    turn: Out(Index)
    tried: In(1)
    admitted: In(1)
    over: In(1)

    def __init__(self, config):
        self.config = config
        super().__init__()

    def elaborate(self, platform):
        m = Module()
        config, share = self.config, self.promise.share
        kept, promised = Signal(config.queues), Signal()
        with m.If(self.tried):
            m.d.sync += [kept.bit_select(self.turn, 1).eq(self.admitted),
                         self.turn.eq(Mux(self.turn == config.queues - 1, 0, self.turn + 1))]
        with m.If(self.over):
            m.d.sync += kept.eq(0)
        page, chunks = Signal(OpenPage), share.top >> config.chunk_log2
        m.d.sync += [
            promised.eq(kept.bit_select(self.queue, 1) & (self.queue < config.queues)
                        & ~self.settings.split),
            page.eq(self.page), share.top.eq(self.length - 1),
            share.pool.eq(self.settings.pool),
            # With bytes less one nothing needs to be rounded up.
            share.opens.eq(~page.open | ((page.next + chunks) >= config.chunks)),
            self.promise.valid.eq(promised),
        ]
        m.d.comb += [share.first.eq(page.next), self.promise.closes.eq(share.opens & page.open)]
        return m
