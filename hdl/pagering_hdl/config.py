"""What a card is made of: the choices that are fixed when it is elaborated."""

from __future__ import annotations

from dataclasses import dataclass, field

from pagering import abi

__all__ = ["BUS_WIDTHS", "CardConfig"]

BUS_WIDTHS = (64, 128, 256, 512)
_NEEDED = {"pool_watch": ("pull_returns",), "parser": ("steering", "header_split")}
"""What some features can not be without."""


def _power_of_two(value: int) -> bool:
    return value > 0 and value & (value - 1) == 0


def _log2(value: int) -> int:
    return value.bit_length() - 1


@dataclass(frozen=True)
class CardConfig:
    """Parameters of one card. Sizes are powers of two and in bytes unless they say otherwise.

    Parameters
    ----------
    bus_bits : :class:`int`
        Width of the receive stream and of the memory bus: 64, 128, 256 or 512.
    queues, pools : :class:`int`
        How many there are of each: 1 to 64.
    page_bytes : :class:`int`
        One page: 4096 to 65536.
    chunk_bytes : :class:`int`
        The unit a page is handed out in: 64 to ``page_bytes``, at most 64 chunks in a page.
    pages : :class:`int`
        Pages of all pools together, at most 65536.
    region_pages : :class:`int`
        Pages in one region; ``pages / region_pages`` is the number of region slots, at most 256.
    fifo_bytes : :class:`int`
        Packet FIFO; it must hold the longest frame.
    max_frame : :class:`int`
        Longest frame, without FCS; any number up to 16383.
    burst_bytes : :class:`int`
        Longest write burst: at most 4096 bytes and 256 beats.
    in_flight : :class:`int`
        Write bursts, and frame segments, that may wait for their responses; 0 picks enough to hide
        250 cycles of latency at this width.
    parser : :class:`bool`
        Whether frames are taken apart: headers, checksums, VLAN tags.
    steering : :class:`bool`
        Whether there are filters, flow rules and receive-side scaling; needs ``parser``.
    header_split : :class:`bool`
        Whether queues can have their frames' headers apart; needs ``parser``.
    pull_returns : :class:`bool`
        Whether queues can have return rings; needs ``pool_watch``.
    pool_watch : :class:`bool`
        Whether counts can be mirrored in host memory, and the oldest page of a pool is known.
    statistics : :class:`bool`
        Whether all counters count, or only those of :data:`abi.ESSENTIAL`.
    timestamps : :class:`bool`
        Whether there is a clock, and frames are stamped.
    clock_khz : :class:`int`
        What the clock runs at, for the host to know: 1000 to 2,000,000.

    Raises
    ------
    ValueError
        With a sentence that names the parameter and its value.
    """

    bus_bits: int = 64
    queues: int = 4
    pools: int = 4
    page_bytes: int = 4096
    chunk_bytes: int = 4096
    pages: int = 1024
    region_pages: int = 64
    fifo_bytes: int = 32768
    max_frame: int = 9600
    burst_bytes: int = 256
    in_flight: int = field(default=0)
    parser: bool = True
    steering: bool = True
    header_split: bool = True
    pull_returns: bool = True
    pool_watch: bool = True
    statistics: bool = True
    timestamps: bool = True
    clock_khz: int = 156_250

    def __post_init__(self) -> None:
        if self.in_flight == 0:
            object.__setattr__(self, "in_flight", max(64, min(256, self.bus_bits)))
        self.validate()

    def validate(self) -> None:
        """Check every parameter against its range and against the others."""
        self._check("bus_bits", self.bus_bits in BUS_WIDTHS, "64, 128, 256 or 512")
        self._check("queues", 1 <= self.queues <= abi.QUEUES_MAX, "1 to 64")
        self._check("pools", 1 <= self.pools <= abi.POOLS_MAX, "1 to 64")
        self._check_power("page_bytes", 4096, 65536)
        self._check_power("chunk_bytes", max(64, self.page_bytes // abi.CHUNKS_PER_PAGE_MAX),
                          self.page_bytes)
        self._check_power("pages", 2, 1 << abi.PAGE_ID_BITS)
        self._check_power("region_pages", max(1, self.pages // abi.REGION_SLOTS_MAX), self.pages)
        self._check("max_frame", 64 <= self.max_frame < 16384, "64 to 16383")
        self._check_power("fifo_bytes", 1024, 1 << 20)
        self._check("fifo_bytes", self.fifo_bytes >= self.max_frame,
                    f"at least max_frame, {self.max_frame}")
        self._check_power("burst_bytes", 64, min(4096, 256 * self.bus_bytes))
        self._check_power("in_flight", 4, 1024)
        for name, users in _NEEDED.items():
            for user in users:
                self._check(name, getattr(self, name) or not getattr(self, user),
                            f"true on a card with {user}")
        self._check("clock_khz", 1000 <= self.clock_khz <= 2_000_000, "1000 to 2000000")

    def _check(self, name: str, ok: bool, allowed: str) -> None:
        if not ok:
            raise ValueError(f"{name} must be {allowed}, not {getattr(self, name)}")

    def _check_power(self, name: str, low: int, high: int) -> None:
        value = getattr(self, name)
        self._check(name, _power_of_two(value) and low <= value <= high,
                    f"a power of two from {low} to {high}")

    @property
    def admission_cuts(self) -> tuple[int, ...]:
        """Where admission has registers: as many as the shortest frame leaves time for."""
        return {64: (0, 1, 2, 3, 4, 5, 6, 7), 128: (1, 3, 5, 7)}.get(self.bus_bits, ())

    @property
    def short_cuts(self) -> bool:
        """Whether a frame that comes alone is hurried: on a narrow bus that costs no rate."""
        return self.bus_bits == 64

    @property
    def shares_bursts(self) -> bool:
        """Whether segments, each of which begins with a chunk, can share a burst."""
        return self.chunk_bytes < self.burst_bytes

    @property
    def runs_ahead(self) -> bool:
        """Whether many segments wait in front of the bus: where they come as fast as its beats, or
        may be joined. Else a few registers do, and break the way of ready as well.
        """
        return self.bus_bits > 64 or self.shares_bursts

    @property
    def knows_facts(self) -> bool:
        """Whether anything is known of a frame but where it is and how long.

        Else there is nothing that a completion could be extended by.
        """
        return self.parser or self.timestamps

    @property
    def bus_bytes(self) -> int:
        """Bytes in one beat."""
        return self.bus_bits // 8

    @property
    def bus_log2(self) -> int:
        """Log2 of the bytes in one beat."""
        return _log2(self.bus_bytes)

    @property
    def page_log2(self) -> int:
        """Log2 of the bytes in a page."""
        return _log2(self.page_bytes)

    @property
    def chunk_log2(self) -> int:
        """Log2 of the bytes in a chunk."""
        return _log2(self.chunk_bytes)

    @property
    def chunks(self) -> int:
        """Chunks in a page."""
        return self.page_bytes // self.chunk_bytes

    @property
    def index_mask(self) -> int:
        """The bits of the index of a queue or a pool that tell those of this card apart."""
        return (1 << (max(self.queues, self.pools) - 1).bit_length()) - 1

    @property
    def regions(self) -> int:
        """Region slots."""
        return self.pages // self.region_pages

    @property
    def region_pages_log2(self) -> int:
        """Log2 of the pages in a region."""
        return _log2(self.region_pages)

    @property
    def region_log2(self) -> int:
        """Log2 of the bytes in a region."""
        return self.region_pages_log2 + self.page_log2

    @property
    def fifo_frames(self) -> int:
        """Frames that there is to be room for: as many of 64 bytes as the packet FIFO holds."""
        return max(32, self.fifo_bytes // 64)

    @property
    def fifo_beats(self) -> int:
        """Beats in the packet FIFO."""
        return self.fifo_bytes // self.bus_bytes
