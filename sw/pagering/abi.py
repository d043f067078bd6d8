"""The contract between card and host: every register, bit field and record layout, once.

The HDL imports this module for its decoder and its shapes, the driver for its accessors; the
register reference and the C header are rendered from it. It depends on nothing but the standard
library. All words are little-endian; fields are listed from bit 0 upwards.

The card's register window (one BAR) is made of 4 KiB pages:

=============================  ===========  ==================================================
offset                         who maps it  what it holds
=============================  ===========  ==================================================
``0x0000``                     privileged   card: identity, control, region table
``0x1000``                     privileged   pools
``0x2000 + 0x2000 * queue``    privileged   queue: completion ring, pool, quota, drain
``0x3000 + 0x2000 * queue``    user         queue: doorbells, its counters, the return window
``0x90000``                    privileged   steering: RSS, flow rules, filters
``0x91000``                    privileged   counters of the whole card
=============================  ===========  ==================================================
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NamedTuple

__all__ = [
    "ADDRESSES", "AGE_CYCLES", "BLOCKS", "CARD", "CHUNKS_PER_PAGE_MAX", "COMPLETION",
    "COMPLETION_BYTES", "CONSUMER_BITS", "COUNTERS", "COUNTER_ROWS", "ESSENTIAL", "EXTENSION",
    "EXTENSION_BYTES", "ID_VALUE", "INDIRECTION_ROWS", "KEY_WORDS", "L3", "L4", "LINE_BYTES",
    "MIRROR", "MIRROR_BYTES", "MODERATION_CYCLES", "MSIX_BAR", "MSIX_BAR_BYTES", "MSIX_PBA",
    "MSIX_TABLE", "PAGE_ID_BITS", "PAUSE_UNIT", "PCI_CLASS", "PCI_DEVICE", "PCI_REVISION",
    "PCI_VENDOR", "POOL", "POOLS_MAX", "QUEUE", "QUEUES_MAX", "QUEUE_COUNTERS",
    "QUEUE_COUNTER_ROWS", "QUEUE_DROPS", "REGION", "REGION_SLOTS_MAX", "RETURN_LINE",
    "RETURN_LOG2_MAX", "RETURN_LOG2_MIN", "RETURN_WINDOW", "RETURN_WINDOW_BYTES", "RING_LOG2_MAX",
    "RING_LOG2_MIN", "RULE", "RULES", "RULE_WORDS", "SIZES", "STATS", "STEER", "TOKEN", "USER",
    "VERSION_MAJOR", "VERSION_MINOR", "VLAN_ROWS", "WINDOW_ADDRESS_BITS", "WINDOW_BAR", "Access",
    "Block", "ClockCommand", "Counter", "DropCause", "Event", "Fault", "Field", "HashType",
    "Layout", "Policy", "Register", "SteeringMode", "Transform",
]

ID_VALUE = 0x50475247
"""Value of ``CARD.ID``: the letters "PGRG"."""
VERSION_MAJOR = 2
VERSION_MINOR = 0

QUEUES_MAX = 64
POOLS_MAX = 64
REGION_SLOTS_MAX = 256
PAGE_ID_BITS = 16
CHUNKS_PER_PAGE_MAX = 64
CONSUMER_BITS = 17
"""Completion indices run freely modulo 2**17: one bit more than the largest ring needs."""
COMPLETION_BYTES = 16
EXTENSION_BYTES = 16
"""What an extended completion has before the plain one; together they are 32 bytes."""
LINE_BYTES = 64
"""Completions are written in lines of at most 64 aligned bytes."""
MODERATION_CYCLES = 128
"""The unit of ``QUEUE.MODERATION.time``, in cycles of the card's clock."""
RING_LOG2_MIN = 6
RING_LOG2_MAX = 16
WINDOW_ADDRESS_BITS = 20
MIRROR_BYTES = 8
RETURN_LINE = 16
"""Tokens that the card fetches at once: 64 bytes."""
RETURN_LOG2_MIN = 4
RETURN_LOG2_MAX = 16
AGE_CYCLES = 1024
"""Card clock cycles in the unit of ages."""
RETURN_WINDOW = 0x800
"""Where the return window starts in a queue's user page."""
RETURN_WINDOW_BYTES = 0x800
RULES = 64
"""Flow rules; of those that a frame meets, the lowest number wins."""
KEY_WORDS = 10
"""Words of the RSS key: 40 bytes, enough for two IPv6 addresses and two ports."""
INDIRECTION_ROWS = 128
ADDRESSES = 8
"""MAC addresses that the filter knows exactly."""
VLAN_ROWS = 128
"""Words of the VLAN filter, 32 VLANs each."""

PCI_VENDOR = 0x1234
"""As a PCI function. No vendor has this number; it is what emulated devices use."""
PCI_DEVICE = 0x5047
PCI_REVISION = VERSION_MAJOR
PCI_CLASS = 0x020000
"""Ethernet controller."""
WINDOW_BAR = 0
"""The BAR of the register window: 64-bit addresses, not prefetchable, takes BARs 0 and 1."""
MSIX_BAR = 2
"""The BAR of the MSI-X table, likewise. Apart from the window, so that all of that can be mapped.

There is a vector for each queue and, behind them, one for events.
"""
MSIX_BAR_BYTES = 0x2000
MSIX_TABLE = 0x0000
MSIX_PBA = 0x1000


class Access(enum.Enum):
    """What a register does when the host reads or writes it."""

    RO = "RO"
    """Read only. A write changes nothing and counts as ``Fault.REGISTER_ACCESS``."""
    RW = "RW"
    """Reads back what was written."""
    WO = "WO"
    """A command: acts when written, reads as zero."""
    W1C = "W1C"
    """A sticky status: writing a one clears that bit."""


class SteeringMode(enum.IntEnum):
    """How the card picks the queue of a frame."""

    FIXED = 0
    """Every frame goes to the queue that ``STEERING.queue`` names."""
    ROUND_ROBIN = 1
    """Frame after frame over queues 0 to ``STEERING.last``; a test mode."""
    RSS = 2
    """By a hash over addresses and ports, through the indirection table: a flow stays together."""


class Transform(enum.IntEnum):
    """What is hashed in place of source and destination (S, D: addresses, then ports)."""

    NONE = 0
    """S and D."""
    XOR = 1
    """S ^ D, twice: both directions of a flow hash alike."""
    OR_XOR = 2
    """S | D and S ^ D: likewise, and keeps more of both."""


class L3(enum.IntEnum):
    """What the Ethernet header, behind any VLAN tags, is followed by."""

    OTHER = 0
    IPV4 = 1
    IPV6 = 2
    ARP = 3


class L4(enum.IntEnum):
    """What the IP header, behind any options and extension headers, is followed by."""

    OTHER = 0
    """None, none that the card knows, or none that it can see: not the first fragment."""
    TCP = 1
    UDP = 2
    SCTP = 3
    ICMP = 4
    """ICMP over IPv4, or ICMPv6 over IPv6."""


class HashType(enum.IntEnum):
    """What the RSS hash was made of."""

    NONE = 0
    """No IP: the hash is 0."""
    L3 = 1
    """Both addresses."""
    L4 = 2
    """Both addresses and both ports."""


class Policy(enum.IntEnum):
    """In which order a pool's pages are used again."""

    FIFO = 0
    """Longest time to reuse: shows use-after-return bugs."""
    LIFO = 1
    """Smallest live footprint: keeps the IOTLB and the last-level cache hot."""


class ClockCommand(enum.IntEnum):
    """What CLOCK_COMMAND can ask of the card's clock; the value is in CLOCK_VALUE_*."""

    CAPTURE = 0
    """Copy the time to CLOCK_LOW and CLOCK_HIGH; no value."""
    SET = 1
    """The value is the time, in nanoseconds."""
    ADJUST = 2
    """The value is added to the time: signed, in nanoseconds."""
    RATE = 3
    """From now on each cycle adds the value: in its upper half nanoseconds, 16 bits, in its lower
    half their fraction."""


class DropCause(enum.IntEnum):
    """Why a frame was not delivered. Each frame that is dropped counts under exactly one."""

    BAD_FRAME = 0
    RUNT = 1
    OVERSIZE = 2
    MALFORMED = 3
    OVERFLOW = 4
    CARD_DISABLED = 5
    MAC_FILTER = 6
    VLAN_FILTER = 7
    RULE = 8
    QUEUE_DISABLED = 9
    POOL_DISABLED = 10
    NO_PAGE = 11
    POOL_LIMIT = 12
    QUEUE_QUOTA = 13
    RING_FULL = 14


class Fault(enum.IntEnum):
    """What the card refused or met. A refused request changes nothing but its counter."""

    RETURN_PAGE = 0
    RETURN_CHUNK = 1
    RETURN_OWNER = 2
    RETURN_GENERATION = 3
    RETURN_IDLE = 4
    REGION_ALIGNMENT = 5
    REGION_REFUSED = 6
    REGISTER_ACCESS = 7
    REGISTER_VALUE = 8
    DATA_WRITE = 9
    COMPLETION_WRITE = 10
    RETURN_READ = 11
    MIRROR_WRITE = 12


class Event(enum.IntEnum):
    """Bits of ``EVENTS`` and ``EVENT_ENABLE``."""

    LOW_WATER = 0
    FAULT = 1
    WRITE_ERROR = 2


_DROP_DOC = {
    DropCause.BAD_FRAME: "marked bad by the MAC (tuser bit 0 at the last beat)",
    DropCause.RUNT: "shorter than FRAME_LIMITS.minimum",
    DropCause.OVERSIZE: "longer than FRAME_LIMITS.maximum",
    DropCause.MALFORMED: "a hole in tkeep, or a partial beat before the last",
    DropCause.OVERFLOW: "no room in the packet FIFO (only with CONTROL.drop_when_full)",
    DropCause.CARD_DISABLED: "arrived while CONTROL.receive was 0",
    DropCause.MAC_FILTER: "destination MAC address not among those that the card takes",
    DropCause.VLAN_FILTER: "VLAN not among those that the card takes",
    DropCause.RULE: "a flow rule says so",
    DropCause.QUEUE_DISABLED: "steered to a queue that is not enabled",
    DropCause.POOL_DISABLED: "its queue's pool is not enabled",
    DropCause.NO_PAGE: "too few pages on the recycle ring of its pool",
    DropCause.POOL_LIMIT: "would exceed the pool's LIMIT of pages off the ring",
    DropCause.QUEUE_QUOTA: "would exceed the queue's QUOTA of pages off the ring",
    DropCause.RING_FULL: "no room in its queue's completion ring",
}
_FAULT_DOC = {
    Fault.RETURN_PAGE: "returned token names a page of no registered region",
    Fault.RETURN_CHUNK: "returned token names chunks past the end of the page",
    Fault.RETURN_OWNER: "returned through the window of a queue that does not hold the page",
    Fault.RETURN_GENERATION: "returned token is of an earlier life of the page",
    Fault.RETURN_IDLE: "returned token names a chunk the host does not hold (returned twice)",
    Fault.REGION_ALIGNMENT: "region address not a multiple of the region's size",
    Fault.REGION_REFUSED: "region slot in use or being loaded, or its pool does not exist",
    Fault.REGISTER_ACCESS: "access to no register, or a write to a read-only one",
    Fault.REGISTER_VALUE: "value out of range, or a command at the wrong time; ignored",
    Fault.DATA_WRITE: "write burst of frame data answered with an error",
    Fault.COMPLETION_WRITE: "write burst of completions answered with an error",
    Fault.RETURN_READ: "read burst of returned tokens answered with an error: the tokens in its "
                       "bad beats are lost",
    Fault.MIRROR_WRITE: "write of mirrored counts answered with an error",
}


@dataclass(frozen=True)
class Field:
    """A run of bits. A name that starts with an underscore is reserved: written 0, reads 0."""

    name: str
    width: int
    doc: str = ""
    reset: int = 0
    lsb: int = field(default=0, compare=False)

    @property
    def mask(self) -> int:
        """The field's bits in place."""
        return ((1 << self.width) - 1) << self.lsb


class Layout:
    """Named bit fields from bit 0 upwards; packs and unpacks integers.

    Raises
    ------
    ValueError
        From :meth:`pack`, with a sentence, if a name is unknown or a value does not fit.
    """

    def __init__(self, name: str, doc: str, *fields: Field) -> None:
        self.name = name
        self.doc = doc
        placed, lsb = [], 0
        for item in fields:
            placed.append(Field(item.name, item.width, item.doc, item.reset, lsb))
            lsb += item.width
        self.width = lsb
        self.fields: Mapping[str, Field] = MappingProxyType({f.name: f for f in placed})

    def __getitem__(self, name: str) -> Field:
        return self.fields[name]

    @property
    def named(self) -> tuple[Field, ...]:
        """The fields that are not reserved."""
        return tuple(f for f in self.fields.values() if not f.name.startswith("_"))

    @property
    def reset(self) -> int:
        """The value of all fields after reset."""
        return sum(f.reset << f.lsb for f in self.fields.values())

    def pack(self, **values: int) -> int:
        """Return the integer with these fields; fields not named take their reset value."""
        word = self.reset
        for name, value in values.items():
            item = self.fields.get(name)
            if item is None or name.startswith("_"):
                raise ValueError(f"{self.name} has no field {name!r}")
            if not 0 <= value < 1 << item.width:
                raise ValueError(f"{self.name}.{name} is {item.width} bits wide; {value} "
                                 f"does not fit")
            word = word & ~item.mask | int(value) << item.lsb
        return word

    def unpack(self, word: int) -> dict[str, int]:
        """Return the value of every field that is not reserved."""
        return {f.name: (word & f.mask) >> f.lsb for f in self.named}


class Register(Layout):
    """A 32-bit register: a layout with an offset in its block and an access mode."""

    def __init__(self, name: str, offset: int, access: Access, doc: str, *fields: Field) -> None:
        used = sum(f.width for f in fields)
        pad = (Field("_pad", 32 - used),) if used < 32 else ()
        super().__init__(name, doc, *fields, *pad)
        if self.width != 32:
            raise ValueError(f"register {name} has {self.width} bits, not 32")
        self.offset = offset
        self.access = access


@dataclass(frozen=True)
class Block:
    """Registers that repeat ``count`` times, ``stride`` bytes apart from ``base``."""

    name: str
    doc: str
    base: int
    stride: int
    count: str
    """Which capability says how many there are: ``""`` (one), ``regions``, ``pools``,
    ``queues``."""
    user: bool
    registers: tuple[Register, ...]

    def __iter__(self) -> Iterator[Register]:
        return iter(self.registers)

    def __getitem__(self, name: str) -> Register:
        for register in self.registers:
            if register.name == name:
                return register
        raise KeyError(f"block {self.name} has no register {name!r}")

    def address(self, name: str, index: int = 0) -> int:
        """Byte offset of register ``name`` of the ``index``-th copy of this block."""
        return self.base + self.stride * index + self[name].offset


TOKEN = Layout(
    "TOKEN",
    "Names chunks of one page that the host holds. A completion carries it; written back through "
    "the queue's return window it gives exactly that memory back. Neighbouring chunks of a page "
    "may be merged in one token.",
    Field("page", PAGE_ID_BITS, "page id: region slot x pages per region + index"),
    Field("first", 6, "first chunk"),
    Field("last", 6, "last chunk, inclusive"),
    Field("generation", 4, "which life of the page: bumped each time it leaves the ring"),
)

COMPLETION = Layout(
    "COMPLETION",
    "Written to the queue's completion ring for each segment of a frame, after the segment's data "
    "is visible to the host. Never straddles 64 bytes; the phase bit is in its last 8 bytes.",
    Field("token", 32, "what to return when done; the data starts at its first chunk"),
    Field("hash", 32, "RSS hash; hash_type tells of what"),
    Field("length", 16, "bytes of the frame in this segment"),
    Field("checksum", 16, "ones'-complement sum of everything behind the 14 bytes of the Ethernet "
          "header, padding included; as 16-bit words in network byte order, not inverted"),
    Field("start", 1, "first segment of its frame"),
    Field("end", 1, "last segment of its frame"),
    Field("write_error", 1, "a write of this segment's data was answered with an error: its bytes "
          "in host memory are not to be trusted"),
    Field("last_of_page", 1, "the card puts nothing more in this page"),
    Field("l3", 2, "protocol: see L3"),
    Field("l4", 3, "protocol: see L4"),
    Field("fragment", 1, "part of a fragmented datagram"),
    Field("l3_checked", 1, "the card has checked the IPv4 header's checksum"),
    Field("l3_ok", 1, "and it is right"),
    Field("l4_checked", 1, "the card has checked the checksum of TCP or UDP"),
    Field("l4_ok", 1, "and it is right (or UDP without one)"),
    Field("hash_type", 2, "see HashType"),
    Field("vlan", 1, "the frame has a VLAN tag; it is left in place"),
    Field("split", 1, "its headers are apart, in the memory that the extension names"),
    Field("header", 8, "bytes up to the end of the L4 header, or 0 if the card could not tell; of "
          "a frame that is split: bytes in the header's own memory"),
    Field("_reserved", 5),
    Field("phase", 1, "1 on the first pass over the ring, then inverted on each pass"),
)

EXTENSION = Layout(
    "EXTENSION",
    "Comes before each completion of a queue with extended completions: 32 bytes together, which "
    "never straddle 64. Only a frame's first segment has more than zeros in it.",
    Field("time_low", 32, "when the frame's first beat came in: nanoseconds by the card's clock"),
    Field("time_high", 32, "the upper half of it"),
    Field("header_token", 32, "of a frame that is split: what to return for its headers"),
    Field("tci", 16, "tag control information of the outer VLAN tag"),
    Field("mark", 16, "of the flow rule that the frame met; 0 if none"),
)

MIRROR = Layout(
    "MIRROR",
    "What the card writes to a pool's mirror, in one piece; a return ring's has its consumer index "
    "in place of ``free``, and nothing else.",
    Field("free", 17, "pages on the ring"), Field("_pad0", 15),
    Field("outstanding", 17, "pages that only the host holds"), Field("_pad1", 15),
)

_INDEX = Field("index", CONSUMER_BITS, "completions consumed so far, modulo 2**17")


def _ro(name: str, offset: int, doc: str, *fields: Field) -> Register:
    return Register(name, offset, Access.RO, doc, *(fields or (Field("value", 32),)))


class Counter(NamedTuple):
    """A count of 64 bits: two registers, of which the second has ``_HIGH`` at its name's end.

    It only grows, until a reset of the card. A read of either half gives the count of that moment.
    Read the upper half, the lower, and the upper again, until the upper has not moved: so any
    number of readers get whole counts without knowing of each other.
    """

    number: int
    """Where it is: ``8 * number`` bytes behind the first one of its block."""
    name: str
    doc: str


def _counters(first: int, *named: tuple[str, str]) -> tuple[Counter, ...]:
    return tuple(Counter(first + at, name, doc) for at, (name, doc) in enumerate(named))


SIZES = ((0, 63), (64, 64), (65, 127), (128, 255), (256, 511), (512, 1023), (1024, 1518),
         (1519, 2047), (2048, 4095), (4096, 8191), (8192, 9216), (9217, None))
"""Least and most bytes of each counter of frame sizes: as RMON counts, with the FCS of 4 bytes that
the MAC has taken off. Those up to 1518 are RFC 2819's; 0 to 63 are its undersize frames."""

COUNTER_ROWS = 64
COUNTERS = (
    *_counters(
        0,
        ("FRAMES_IN", "frames that ended on the stream, good or bad"),
        ("BYTES_IN", "bytes that came in on the stream, of good frames or bad, without FCS"),
        ("FRAMES_DELIVERED", "frames whose last completion is visible to the host"),
        ("RETURNS", "tokens accepted"),
        ("RECYCLED", "pages that went back on a recycle ring"),
        ("MULTICAST", "good frames to a group address other than broadcast"),
        ("BROADCAST", "good frames to all stations"),
        ("VLAN", "admitted frames with a VLAN tag"),
        ("PAUSES", "times that pause_req was raised"),
        ("PAUSE_CYCLES", "card clock cycles with pause_req raised"),
        ("WRITE_BURSTS", "bursts written to the host: write addresses taken by the bus"),
        ("WRITE_BEATS", "beats written to the host"),
        ("WRITE_BYTES", "bytes written to the host: those with their strobe set")),
    *_counters(16, *((f"FAULT_{fault.name}", _FAULT_DOC[fault]) for fault in Fault)),
    *_counters(32, *((f"DROP_{cause.name}", _DROP_DOC[cause]) for cause in DropCause)),
    *_counters(48, *((f"SIZE_{least}_{'UP' if most is None else most}",
                      f"frames in, good or bad, of {least} bytes or more, with FCS"
                      if most is None else
                      f"frames in, good or bad, of {least} to {most} bytes, with FCS")
                     for least, most in SIZES)),
)
"""Card-wide counters."""

ESSENTIAL = frozenset(counter.name for counter in COUNTERS
                      if counter.name.startswith(("FAULT_", "DROP_"))
                      ) | {"FRAMES_IN", "FRAMES_DELIVERED", "RETURNS", "RECYCLED"}
"""Those that every card counts: what becomes of frames and of memory, and what went wrong."""

QUEUE_COUNTER_ROWS = 16
QUEUE_COUNTERS = (
    *_counters(0, ("RX_PACKETS", "frames delivered to this queue"),
               ("RX_BYTES", "bytes of the frames admitted to this queue, without FCS")),
    *_counters(
        4,
        ("CSUM_NONE", "admitted frames that are not IP"),
        ("CSUM_COMPLETE", "admitted IP frames whose L4 the card has not checked: the sum in the "
         "completion serves to do it"),
        ("CSUM_UNNECESSARY", "admitted frames whose L4 checksum is right"),
        ("CSUM_BAD", "admitted frames with a wrong checksum, of IPv4 header or L4"),
        ("DROP_NO_MEMORY", "frames dropped as NO_PAGE, POOL_LIMIT or QUEUE_QUOTA"),
        ("DROP_RING_FULL", "frames dropped as RING_FULL"),
        ("DROP_DISABLED", "frames dropped as QUEUE_DISABLED or POOL_DISABLED"),
        ("DROP_FILTERED", "frames for this queue dropped as MAC_FILTER, VLAN_FILTER or RULE")),
)
"""Counters of each queue. From ``CSUM_NONE`` on, each frame that was steered to the queue moves
exactly one."""

QUEUE_DROPS: Mapping[DropCause, str] = MappingProxyType({
    DropCause.MAC_FILTER: "DROP_FILTERED", DropCause.VLAN_FILTER: "DROP_FILTERED",
    DropCause.RULE: "DROP_FILTERED", DropCause.QUEUE_DISABLED: "DROP_DISABLED",
    DropCause.POOL_DISABLED: "DROP_DISABLED", DropCause.NO_PAGE: "DROP_NO_MEMORY",
    DropCause.POOL_LIMIT: "DROP_NO_MEMORY", DropCause.QUEUE_QUOTA: "DROP_NO_MEMORY",
    DropCause.RING_FULL: "DROP_RING_FULL",
})
"""The queue's counter of each cause that a queue can have."""

PAUSE_UNIT = 64
"""Bytes in the unit of PAUSE_FIFO."""


def _halves(first: int, counters: tuple[Counter, ...]) -> Iterator[Register]:
    for number, name, doc in counters:
        yield _ro(name, first + 8 * number, doc)
        yield _ro(f"{name}_HIGH", first + 8 * number + 4, f"{name}, upper half")


CARD = Block("CARD", "Card-wide, privileged.", 0x0000, 0x1000, "", False, (
    _ro("ID", 0x00, "Identification: reads 0x50475247.",
        Field("value", 32, "the letters PGRG", ID_VALUE)),
    _ro("VERSION", 0x04, "Version of this contract. The driver refuses another major.",
        Field("minor", 16, "compatible additions", VERSION_MINOR),
        Field("major", 16, "incompatible changes", VERSION_MAJOR)),
    _ro("CAP_COUNTS", 0x08, "How many of each there are.",
        Field("queues", 8), Field("pools", 8), Field("regions", 16)),
    _ro("CAP_SIZES", 0x0C, "Sizes, as powers of two.",
        Field("page_log2", 8, "bytes per page"),
        Field("chunk_log2", 8, "bytes per chunk"),
        Field("region_pages_log2", 8, "pages per region"),
        Field("bus_log2", 8, "bytes per beat of the memory bus")),
    _ro("CAP_LIMITS", 0x10, "Limits.",
        Field("frame_bytes", 16, "longest frame the card takes"),
        Field("burst_bytes", 16, "longest write burst")),
    Register("SCRATCH", 0x14, Access.RW, "Holds any value; for tests.", Field("value", 32)),
    Register("CONTROL", 0x18, Access.RW, "Card control.",
             Field("receive", 1, "take frames from the stream; sampled at each frame's first beat"),
             Field("drop_when_full", 1, "1: a frame that finds the packet FIFO full is dropped; "
                   "0: the stream is held (tready low)")),
    Register("RESET", 0x1C, Access.WO, "Writing 1 resets the card: it stops at a frame boundary, "
             "lets writes that are under way finish, then clears its whole state.",
             Field("reset", 1)),
    _ro("STATUS", 0x20, "What the card is doing.",
        Field("resetting", 1, "a reset is under way: all but this block reads 0 and "
              "ignores writes"),
        Field("idle", 1, "no frame, write or completion is under way")),
    Register("STEERING", 0x24, Access.RW, "Which queue a frame goes to.",
             Field("mode", 2, "see SteeringMode; a flow rule wins over each. RSS is refused on a "
                   "card without CAP_FEATURES.steering"),
             Field("_pad0", 6),
             Field("queue", 6, "the queue, if fixed"),
             Field("_pad1", 2),
             Field("last", 6, "last queue of the rotation, if round robin")),
    Register("FRAME_LIMITS", 0x28, Access.RW, "Frames outside are dropped as RUNT or OVERSIZE. "
             "A maximum above CAP_LIMITS.frame_bytes counts as that.",
             Field("minimum", 16, "bytes", 1), Field("maximum", 16, "bytes", 0xFFFF)),
    Register("FLUSH_TIMER", 0x2C, Access.RW, "A completion waits for its line to fill at most two "
             "of these periods.",
             Field("cycles", 16, "card clock cycles; 0 stands for 65536", 256)),
    Register("EVENTS", 0x30, Access.W1C, "Events since cleared.",
             Field("low_water", 1, "a pool fell to its low-water mark"),
             Field("fault", 1, "a fault counter moved"),
             Field("write_error", 1, "a write, or a read of returned tokens, was answered with an "
                   "error")),
    Register("EVENT_ENABLE", 0x34, Access.RW, "Which events raise the last interrupt.",
             Field("low_water", 1), Field("fault", 1), Field("write_error", 1)),
    _ro("LOW_WATER_0", 0x38, "Pools 0 to 31 that are low now, a bit each."),
    _ro("LOW_WATER_1", 0x3C, "Pools 32 to 63 that are low now, a bit each."),
    Register("REGION_HIGH", 0x40, Access.RW, "Upper half of the DMA address of the regions "
             "registered from now on.", Field("address", 32)),
    _ro("CAP_CLOCK", 0x50, "The clock that the card runs at.", Field("khz", 32, "kHz")),
    Register("CLOCK_VALUE_LOW", 0x54, Access.RW, "For CLOCK_COMMAND.", Field("value", 32)),
    Register("CLOCK_VALUE_HIGH", 0x58, Access.RW, "For CLOCK_COMMAND, upper half.",
             Field("value", 32)),
    Register("CLOCK_COMMAND", 0x5C, Access.WO, "Reads or changes the time that frames are stamped "
             "with, in one step. It stands at 0 after reset. Only on a card with "
             "CAP_FEATURES.timestamps (else REGISTER_VALUE).",
             Field("command", 2, "see ClockCommand")),
    _ro("CLOCK_LOW", 0x60, "The time when it was last captured: nanoseconds, lower half."),
    _ro("CLOCK_HIGH", 0x64, "The time when it was last captured, upper half."),
    _ro("CAP_FEATURES", 0x90, "What the card has.",
        Field("header_split", 1, "queues can have headers and payload apart"),
        Field("pull_returns", 1, "queues can have return rings"),
        Field("pool_watch", 1, "pools can have mirrors, and name the oldest page"),
        Field("parser", 1, "frames are taken apart; else L3 and L4 are OTHER, and all that is "
              "found in a frame is 0"),
        Field("steering", 1, "there are receive-side scaling, flow rules and filters"),
        Field("statistics", 1, "all counters count; else only FRAMES_IN, FRAMES_DELIVERED, "
              "RETURNS, RECYCLED and those of faults and drops do, and the others read 0"),
        Field("timestamps", 1, "there is a clock, and frames are stamped; else timestamps are 0")),
    Register("MIRROR_TIMER", 0x9C, Access.RW, "How often counts are written to host memory.",
             Field("cycles", 16, "least card clock cycles from one write to the next; less than 16 "
                   "counts as 16", 256)),
    Register("PAUSE", 0x80, Access.RW, "What raises pause_req.",
             Field("fifo", 1, "the packet FIFO is full as PAUSE_FIFO says"),
             Field("pools", 1, "a running pool is low", 1),
             Field("held", 1, "a frame waits for memory: see POLICY of its queue", 1)),
    Register("PAUSE_FIFO", 0x84, Access.RW, "Levels of the packet FIFO, in units of 64 bytes.",
             Field("xoff", 16, "pause when the level rises to this", 0xFFFF),
             Field("xon", 16, "no longer when it falls to this")),
    _ro("PAUSE_STATUS", 0x88, "Whether pause_req is raised, and what for.",
        Field("pause", 1, "pause_req"), Field("fifo", 1, "the packet FIFO is full"),
        Field("pools", 1, "a running pool is low"), Field("held", 1, "a frame waits for memory")),
    _ro("FIFO_PEAK", 0x8C, "Most bytes in the packet FIFO at one time.", Field("bytes", 32)),
))

REGION = Block("REGION", "Region table, privileged. Writing a slot registers one region: the card "
               "puts its pages on the ring of its pool by itself.", 0x0400, 4, "regions", False, (
    Register("REGION", 0x0, Access.RW, "A region of pages_per_region pages, aligned to its size.",
             Field("valid", 1, "write 1 to register; reads 1 from when returns of its pages count"),
             Field("loading", 1, "the card is putting the pages on the ring; written 0"),
             Field("_pad0", 4),
             Field("pool", 6, "the pool that owns the pages"),
             Field("address", 20, "bits 31:12 of the DMA address (63:32 from REGION_HIGH)")),
))

POOL = Block("POOL", "A recycle ring and its regions, privileged.", 0x1000, 0x40, "pools", False, (
    Register("CONTROL", 0x00, Access.RW, "Clearing enable starts a drain. Setting it before the "
             "pool is drained is refused (REGISTER_VALUE).",
             Field("enable", 1), Field("policy", 1, "0 FIFO, 1 LIFO")),
    _ro("STATUS", 0x04, "State of the pool.",
        Field("drained", 1, "disabled, and no write to its regions is under way or will come", 1),
        Field("low_water", 1, "at or below LOW_WATER.enter, and not yet back at .exit")),
    Register("LIMIT", 0x08, Access.RW, "Most pages off the ring at any time.",
             Field("pages", 17, "0 to 65536", 1 << PAGE_ID_BITS)),
    Register("LOW_WATER", 0x0C, Access.RW, "Thresholds of free pages.",
             Field("enter", 16, "low when free pages fall to this"),
             Field("exit", 16, "no longer low when free pages rise to this")),
    Register("RETIRE", 0x10, Access.WO, "Writing 1 takes all regions from a drained pool and "
             "empties its ring: tokens of their pages no longer match. Refused (REGISTER_VALUE) "
             "before the pool is drained.", Field("retire", 1)),
    _ro("REGISTERED", 0x14, "Pages of the pool's regions.", Field("pages", 17)),
    _ro("FREE", 0x18, "Pages on the ring.", Field("pages", 17)),
    _ro("OUTSTANDING", 0x1C, "Pages that only the host holds.", Field("pages", 17)),
    _ro("PEAK", 0x20, "Most pages off the ring at one time since the pool was enabled.",
        Field("pages", 17)),
    Register("MIRROR_LOW", 0x24, Access.RW, "Where to write FREE and OUTSTANDING whenever they "
             "change: see MIRROR. This and MIRROR_HIGH can be set only while the pool is drained "
             "(else REGISTER_VALUE); nothing is written while it is.",
             Field("enable", 1, "write them; only on a card with CAP_FEATURES.pool_watch (else "
                   "REGISTER_VALUE)"),
             Field("_zero", 2, "the address is 8-byte aligned"),
             Field("address", 29, "bits 31:3 of the DMA address")),
    Register("MIRROR_HIGH", 0x28, Access.RW, "DMA address of the mirror, upper half.",
             Field("address", 32)),
    _ro("OLDEST", 0x2C, "The page that only the host has had for longest. As the card found it "
        "when it last went over all pages: about 2 x pools x (pages + 32) cycles ago at "
        "most.",
        Field("page", PAGE_ID_BITS), Field("queue", 6, "the queue that holds it"),
        Field("valid", 1, "there is one")),
    _ro("OLDEST_AGE", 0x30, "How long it has had that page, when the card found it.",
        Field("time", 32, "in units of 1024 card clock cycles; a long time is known to within a "
              "sixteenth")),
))

QUEUE = Block("QUEUE", "A receive queue, privileged.", 0x2000, 0x2000, "queues", False, (
    Register("CONTROL", 0x00, Access.RW, "Clearing enable starts a drain. Setting it before the "
             "queue is drained, or with a ring size or pool out of range, is refused "
             "(REGISTER_VALUE). Setting it restarts the completion ring at index 0.",
             Field("enable", 1)),
    _ro("STATUS", 0x04, "State of the queue.",
        Field("drained", 1, "disabled, and no write for it is under way or will come", 1),
        Field("armed", 1, "completions past the armed index will interrupt, as MODERATION says"),
        Field("fired", 1, "interrupt raised and not armed again")),
    Register("POOL", 0x08, Access.RW, "The pool that the queue draws from. This and RING_* can be "
             "set only while the queue is drained (else REGISTER_VALUE).", Field("index", 6)),
    Register("RING_LOW", 0x0C, Access.RW, "DMA address of the completion ring.",
             Field("_zero", 12, "the ring is 4 KiB aligned"), Field("address", 20, "bits 31:12")),
    Register("RING_HIGH", 0x10, Access.RW, "DMA address of the completion ring, upper half.",
             Field("address", 32)),
    Register("RING_SIZE", 0x14, Access.RW, "Completions in the ring, as a power of two.",
             Field("log2", 5, "6 (64) to 16 (65536)", RING_LOG2_MIN)),
    Register("QUOTA", 0x18, Access.RW, "Most pages the queue may hold off its pool's ring.",
             Field("pages", 17, "0 to 65536", 1 << PAGE_ID_BITS)),
    Register("HEADER_SPLIT", 0x30, Access.RW, "Frames in two parts: headers up to the end of L4 to "
             "memory of one pool, the payload to memory of POOL. Frames not split go to the pool "
             "of the headers, whole. Can be set only while the queue is drained, enabled only on "
             "a card with CAP_FEATURES.header_split (else REGISTER_VALUE); the queue then needs "
             "extended completions.",
             Field("enable", 1),
             Field("_pad0", 7),
             Field("pool", 6, "pool of the headers"),
             Field("_pad1", 2),
             Field("threshold", 16, "split only frames of more bytes than this")),
    Register("POLICY", 0x38, Access.RW, "What becomes of a frame that finds no page, no place in "
             "the completion ring, or a limit reached.",
             Field("hold", 1, "0: it is dropped; 1: it waits, and all frames behind it, and "
                   "pause_req is raised")),
    _ro("HELD", 0x1C, "Pages off the ring that the queue holds.", Field("pages", 17)),
    _ro("PRODUCED", 0x20, "Completions visible to the host, modulo 2**17.",
        Field("index", CONSUMER_BITS)),
    Register("MODERATION", 0x24, Access.RW, "When an armed interrupt fires: when either holds; if "
             "both are 0, as soon as a completion past the armed index is visible.",
             Field("time", 12, "so long after the first such completion, in units of 128 card "
                   "clock cycles and to within one; 0: whatever the time"),
             Field("completions", 12, "when so many are visible; 0: whatever their number")),
    Register("FORMAT", 0x28, Access.RW, "What the completion ring is made of. Can be set only "
             "while the queue is drained (else REGISTER_VALUE).",
             Field("extended", 1, "0: completions of 16 bytes; 1: of 32, each with its EXTENSION "
                   "before it; only on a card with CAP_FEATURES.parser or timestamps (else "
                   "REGISTER_VALUE)")),
    Register("FORCE", 0x2C, Access.WO, "Writing 1 fires the interrupt now if it is armed, else as "
             "soon as it is armed.", Field("force", 1)),
    Register("RETURN_LOW", 0x40, Access.RW, "DMA address of the return ring: tokens that the card "
             "fetches by itself. RETURN_LOW, _HIGH and _SIZE can be set only while the queue is "
             "drained (else REGISTER_VALUE).",
             Field("_zero", 12, "the ring is 4 KiB aligned"), Field("address", 20, "bits 31:12")),
    Register("RETURN_HIGH", 0x44, Access.RW, "DMA address of the return ring, upper half.",
             Field("address", 32)),
    Register("RETURN_SIZE", 0x48, Access.RW, "The return ring; another size is refused "
             "(REGISTER_VALUE).",
             Field("log2", 5, "tokens in it, as a power of two: 4 (16) to 16 (65536); 0: no ring, "
                   "and the only choice on a card without CAP_FEATURES.pull_returns"),
             Field("_pad0", 3),
             Field("mirror", 1, "write RETURN_CONSUMED, as 8 bytes, to the address right behind "
                   "the ring whenever it has changed")),
    _ro("RETURN_CONSUMED", 0x4C, "Tokens taken from the return ring, modulo 2**17. Runs on when "
        "the queue is drained and enabled again.", Field("index", CONSUMER_BITS)),
))

USER = Block("USER", "A receive queue, the part that an untrusted process may map. From "
             "RETURN_WINDOW to the end of the page every aligned 32-bit write is one returned "
             "token.", 0x3000, 0x2000, "queues", True, (
    Register("CONSUMED", 0x00, Access.WO, "Tells the card how far the host has read.", _INDEX),
    Register("ARM", 0x04, Access.WO, "As CONSUMED, and arms the interrupt: it fires once, for "
             "completions past index, those that are visible already among them.", _INDEX),
    Register("RETURN_PRODUCED", 0x10, Access.WO, "Doorbell of the return ring: tokens up to index "
             "are in it. Refused (REGISTER_VALUE) if the queue is disabled or has no return ring, "
             "or if the index goes back or is more than the ring ahead of RETURN_CONSUMED.",
             Field("index", CONSUMER_BITS, "tokens put in the ring so far, modulo 2**17")),
    *_halves(0x20, QUEUE_COUNTERS),
))

RULE = Layout(
    "RULE",
    "A flow rule, as RULE_WORD holds it: 32 bits in each word, the first one lowest. A field is "
    "looked at only if its match bit is set.",
    Field("source", 128, "address; an IPv4 address is in the lower 32 bits"),
    Field("destination", 128, "address, likewise"),
    Field("destination_port", 16), Field("source_port", 16),
    Field("protocol", 8, "of IP, behind any extension headers"), Field("_pad0", 4),
    Field("vlan", 12, "VLAN of the outer tag"), Field("_pad1", 8),
    Field("mark", 16, "goes to the extended completion"),
    Field("queue", 6, "where the frame goes"),
    Field("drop", 1, "nowhere: the frame is dropped as RULE"),
    Field("l3", 2, "see L3"), Field("match_l3", 1),
    Field("match_source", 1, "needs match_l3 with IPv4 or IPv6"),
    Field("match_destination", 1, "likewise"),
    Field("match_source_port", 1, "a fragment has no port to match"),
    Field("match_destination_port", 1, "likewise"),
    Field("match_protocol", 1), Field("match_vlan", 1, "an untagged frame has no VLAN to match"),
)
RULE_WORDS = RULE.width // 32

STEER = Block("STEER", "Receive-side scaling, flow rules and filters, privileged; only on a card "
              "with CAP_FEATURES.steering (else REGISTER_ACCESS). Tables are reached a row at a "
              "time: ROW names it. Each write, but of KEY, takes effect at once and whole; a row "
              "that a table does not have reads 0, and a write to it is refused "
              "(REGISTER_VALUE).",
              0x90000, 0x1000, "", False, (
    Register("RSS", 0x00, Access.RW, "What the hash is made of.",
             Field("transform", 2, "see Transform"),
             Field("tcp", 1, "ports of TCP count; fragments never do", 1),
             Field("udp", 1, "ports of UDP count", 1)),
    Register("FILTER", 0x04, Access.RW, "Which frames the card takes.",
             Field("promiscuous", 1, "every destination address", 1),
             Field("all_multicast", 1, "every group address"),
             Field("broadcast", 1, "the broadcast address", 1),
             Field("vlan", 1, "of tagged frames only those in VLANS"),
             Field("untagged", 1, "untagged frames, if vlan is set", 1)),
    Register("MULTICAST_0", 0x08, Access.RW, "Group addresses by hash: bits 31:26 of "
             "the CRC-32 of the address, not inverted. Bit n lets hash n in.", Field("hashes", 32)),
    Register("MULTICAST_1", 0x0C, Access.RW, "Likewise, hashes 32 to 63.", Field("hashes", 32)),
    Register("ROW", 0x10, Access.RW, "The row that the registers from here on are about.",
             Field("row", 7), Field("_pad0", 1),
             Field("word", 4, "of a flow rule, for RULE_WORD")),
    Register("KEY", 0x14, Access.RW, "RSS key, rows 0 to 9. Its first bit is bit 31 of row 0. A "
             "write takes the card some 1,300 cycles, in which hashes are of neither key; the next "
             "write waits.",
             Field("key", 32)),
    Register("INDIRECTION", 0x18, Access.RW, "Rows 0 to 127: the row is the hash modulo 128.",
             Field("queue", 6, "one that there is")),
    Register("VLANS", 0x1C, Access.RW, "VLAN filter, rows 0 to 127: bit n lets VLAN "
             "32 x row + n in.", Field("vlans", 32)),
    Register("ADDRESS_LOW", 0x20, Access.RW, "Destination addresses, rows 0 to 7: the last four "
             "bytes. Set it while the row is not valid.", Field("address", 32)),
    Register("ADDRESS_HIGH", 0x24, Access.RW, "The first two bytes.",
             Field("address", 16), Field("valid", 1, "the row counts")),
    Register("RULE_WORD", 0x28, Access.RW, "A word of flow rule ROW.row, see Rule. Refused while "
             "the rule is enabled, with a queue that there is not, or an address to match in no "
             "IP.", Field("value", 32)),
    Register("RULE", 0x2C, Access.RW, "State of flow rule ROW.row, rows 0 to 63. A rule that is "
             "enabled takes effect, whole, when busy falls; one that is disabled does so at once. "
             "Refused while busy.",
             Field("enable", 1),
             Field("busy", 1, "the card is putting a rule in place; written 0")),
))

STATS = Block("STATS", "Card-wide counters of 64 bits, privileged. They grow until a reset of the "
              "card. A read of either half gives the count of that moment: read the upper half, "
              "the lower, and the upper again, until the upper has not moved. Sizes count the FCS, "
              "as RMON does.", 0x91000, 0x1000, "", False, tuple(_halves(0, COUNTERS)))

BLOCKS = (CARD, REGION, POOL, QUEUE, USER, STEER, STATS)
