"""Shapes of everything that travels through the card.

What the host sees is made from :mod:`pagering.abi`; the rest is the card's own. Fields have the
width of the largest card; what a smaller one does not use is constant and synthesizes away.
"""

from amaranth.hdl import unsigned
from amaranth.lib import data, enum

from pagering import abi

__all__ = [
    "Arrival", "Completion", "Count", "Dissection", "Drop", "DropCause", "Enrolment", "Extension",
    "Facts", "Fault", "FlowKey", "Generation", "Grant", "HashType", "Index", "Kind", "L3", "L4",
    "Length", "LineJob", "Mark", "PageId", "PageMove", "Placement", "PoolCounts", "PoolView",
    "QueueSettings", "Return", "RingIndex", "Segment", "Share", "Side", "Token", "Visible",
    "Written", "struct",
]

Index = unsigned(6)
"""A queue or a pool."""
PageId = unsigned(abi.PAGE_ID_BITS)
Length = unsigned(14)
"""Bytes of a frame or a part of it."""
ChunkIndex = unsigned(6)
Generation = unsigned(abi.TOKEN["generation"].width)
RingIndex = unsigned(abi.CONSUMER_BITS)
Count = unsigned(abi.PAGE_ID_BITS + 1)
"""A number of pages, or a running count of them modulo 2**17."""


def struct(layout: abi.Layout) -> data.StructLayout:
    """Return the shape of a layout of the contract, field for field."""
    return data.StructLayout({f.name: f.width for f in layout.fields.values()})


Token = struct(abi.TOKEN)
Completion = struct(abi.COMPLETION)
Extension = struct(abi.EXTENSION)


class Kind(enum.Enum, shape=3):
    """What an entry of the card's one ordered pipeline stands for.

    All but the first two carry no data: they are marks, which keep their place among the frames.
    """

    SEGMENT = 0
    """A frame, or the part of it that goes to one page."""
    SKIP = 1
    """A frame that is dropped: its bytes leave the packet FIFO unseen."""
    CLOSE = 2
    """Nothing more goes to the queue's open page."""
    START_QUEUE = 3
    FENCE_QUEUE = 4
    START_POOL = 5
    FENCE_POOL = 6


DropCause = enum.Enum("DropCause", {c.name: c.value for c in abi.DropCause})
Fault = enum.Enum("Fault", {f.name: f.value for f in abi.Fault})
L3 = enum.Enum("L3", {item.name: item.value for item in abi.L3})
L4 = enum.Enum("L4", {item.name: item.value for item in abi.L4})
HashType = enum.Enum("HashType", {item.name: item.value for item in abi.HashType})


class Drop(data.Struct):
    """An event: one frame dropped."""

    valid: unsigned(1)
    cause: DropCause


class FlowKey(data.Struct):
    """What names a flow. Addresses and ports are numbers: their first byte on the wire is on top.

    An IPv4 address is in the lower 32 bits. What a frame does not have is zero.
    """

    source: unsigned(128)
    destination: unsigned(128)
    source_port: unsigned(16)
    destination_port: unsigned(16)
    protocol: unsigned(8)


class Facts(data.Struct):
    """What the card knows of a frame beyond its bytes: it ends in the frame's completion."""

    l3: L3
    l4: L4
    fragment: unsigned(1)
    l3_checked: unsigned(1)
    l3_ok: unsigned(1)
    l4_checked: unsigned(1)
    l4_ok: unsigned(1)
    vlan: unsigned(1)
    header: unsigned(8)
    checksum: unsigned(16)
    tci: unsigned(16)
    hash: unsigned(32)
    hash_type: HashType
    mark: unsigned(16)
    timestamp: unsigned(64)


class Dissection(data.Struct):
    """A whole good frame in the packet FIFO, taken apart."""

    length: Length
    destination: unsigned(48)
    """MAC address; its first byte on the wire is on top."""
    flow: FlowKey
    facts: Facts
    """All but those of steering: ``hash``, ``hash_type``, ``mark``."""


class Arrival(data.Struct):
    """A frame in the packet FIFO that knows where it should go."""

    queue: Index
    length: Length
    drop: unsigned(1)
    """It should not go anywhere, under ``cause``."""
    cause: DropCause
    facts: Facts


class Mark(data.Struct):
    """An order for a queue, or a pool, that keeps its place among the frames."""

    kind: Kind
    index: Index


class Side(enum.Enum, shape=1):
    """Which of a queue's two open pages: a queue that splits frames has one for headers."""

    PAYLOAD = 0
    HEADERS = 1


class Share(data.Struct):
    """Memory for a frame, or for its headers or its payload alone, by count."""

    pool: Index
    top: Length
    """Bytes less one."""
    opens: unsigned(1)
    """It starts in a new page."""
    first: ChunkIndex
    """Where in the open page it starts, if it does not open one."""


class Grant(data.Struct):
    """A frame that has been given its memory, or is dropped; or a mark.

    Before anything else, the queue's open pages are closed as ``close_headers`` and
    ``close_payload`` say. A CLOSE does only that.
    """

    kind: Kind
    index: Index
    """The queue (of a mark for a pool: the pool)."""
    close_headers: unsigned(1)
    close_payload: unsigned(1)
    split: unsigned(1)
    """The frame's headers go to ``headers``, its payload to ``frame``."""
    side: Side
    """From which open page ``frame`` is taken."""
    headers: Share
    frame: Share


class Segment(data.Struct):
    """The part of a frame that goes to one page; or a mark."""

    kind: Kind
    index: Index
    pool: Index
    side: Side
    apart: unsigned(1)
    """Headers whose payload follows; the frame's start is then with the payload."""
    top: Length
    """Bytes less one."""
    opens: unsigned(1)
    first: ChunkIndex
    last: ChunkIndex
    start: unsigned(1)
    end: unsigned(1)
    last_of_page: unsigned(1)
    fills: unsigned(1)
    """Its last beat is the last of its last chunk."""


class Placement(data.Struct):
    """A segment with its memory; or a mark."""

    kind: Kind
    index: Index
    apart: unsigned(1)
    token: Token
    address: unsigned(64)
    follows: unsigned(1)
    """It begins in memory where the beats of the segment before it end."""
    top: Length
    """Bytes less one."""
    start: unsigned(1)
    end: unsigned(1)
    last_of_page: unsigned(1)


class Written(data.Struct):
    """A segment whose every write has been answered; or a mark."""

    kind: Kind
    index: Index
    apart: unsigned(1)
    token: Token
    length: Length
    start: unsigned(1)
    end: unsigned(1)
    last_of_page: unsigned(1)
    error: unsigned(1)


class LineJob(data.Struct):
    """A write of one to four completions of a queue, or of counts; or a mark."""

    kind: Kind
    index: Index
    mirror: unsigned(1)
    """Of counts."""
    address: unsigned(64)
    top: Length
    """Bytes less one."""
    follows: unsigned(1)
    """It begins in memory where the beats of the write before it end."""
    produced: RingIndex
    """The queue's completion index after this write."""
    frames: unsigned(3)
    """Frames that end in this write."""


class Visible(data.Struct):
    """An event: completions have become visible to the host, or a mark has passed everything."""

    valid: unsigned(1)
    kind: Kind
    index: Index
    produced: RingIndex
    frames: unsigned(3)


class QueueSettings(data.Struct):
    """What the host set for a queue."""

    pool: Index
    ring_log2: unsigned(5)
    quota: Count
    split: unsigned(1)
    """Headers go to ``header_pool``, of frames longer than ``threshold``."""
    header_pool: Index
    threshold: unsigned(16)
    hold: unsigned(1)
    """A frame that finds no memory waits."""


class PoolCounts(data.Struct):
    """Running counts of a pool's ring, modulo 2**17."""

    pushed: Count
    """Pages put on the ring."""
    popped: Count
    """Pages taken off it."""
    registered: Count
    """Pages of the pool's regions (no running count)."""


class PoolView(data.Struct):
    """A pool as it is just now."""

    pool: Index
    registered: Count
    free: Count
    outstanding: Count


class PageMove(data.Struct):
    """An event: a page is handed to the host whole, or is no longer with it."""

    valid: unsigned(1)
    page: PageId
    pool: Index
    queue: Index
    out: unsigned(1)


class Return(data.Struct):
    """A token that the host returns, and through which queue."""

    queue: Index
    token: Token


class Enrolment(data.Struct):
    """A page that goes on the ring of a pool."""

    page: PageId
    pool: Index
    new: unsigned(1)
    """Registered just now (else: recycled)."""
