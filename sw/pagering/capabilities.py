"""Who the card is and what it is made of, read before anything is written to it."""

from __future__ import annotations

from dataclasses import dataclass

from pagering import abi
from pagering.errors import CardError
from pagering.registers import RegisterMap

__all__ = ["Capabilities", "identify", "read_capabilities"]


@dataclass(frozen=True)
class Capabilities:
    """What the card is made of; sizes in bytes, its clock in kHz."""

    queues: int
    pools: int
    regions: int
    page_bytes: int
    chunk_bytes: int
    region_pages: int
    bus_bytes: int
    frame_bytes: int
    burst_bytes: int
    clock_khz: int
    header_split: bool = True
    """Queues can have headers and payload apart."""
    parser: bool = True
    """Frames are taken apart: :attr:`Frame.l3` and all that follows from it is known."""
    steering: bool = True
    """There are receive-side scaling, flow rules and filters."""
    statistics: bool = True
    """All counters count, not only :data:`pagering.abi.ESSENTIAL`."""
    timestamps: bool = True
    """There is a clock, and frames are stamped."""

    @property
    def extended(self) -> bool:
        """Whether completions can be extended: there is something to tell there."""
        return self.parser or self.timestamps

    @property
    def chunks(self) -> int:
        """Chunks per page."""
        return self.page_bytes // self.chunk_bytes

    @property
    def region_bytes(self) -> int:
        """Bytes per region, and what its address is a multiple of."""
        return self.page_bytes * self.region_pages


def identify(registers: RegisterMap) -> None:
    """Check that there is a card of this contract.

    Raises
    ------
    CardError
        If it is another device, or of another major version.

    """
    found = registers.card.ID.get()
    if found != abi.ID_VALUE:
        raise CardError(f"this is no Pagering card: it identifies as {found:#010x}, not "
                        f"{abi.ID_VALUE:#010x}; check which device is opened")
    version = registers.card.VERSION.read()
    if version["major"] != abi.VERSION_MAJOR:
        raise CardError(f"the card speaks version {version['major']}.{version['minor']} of the "
                        f"contract, this driver {abi.VERSION_MAJOR}.{abi.VERSION_MINOR}; use a "
                        f"driver of the card's major version")


def read_capabilities(registers: RegisterMap) -> Capabilities:
    """Read how many of each there are and how large.

    Raises
    ------
    CardError
        If the contract forbids what the card reports.

    """
    counts, sizes = registers.card.CAP_COUNTS.read(), registers.card.CAP_SIZES.read()
    limits, features = registers.card.CAP_LIMITS.read(), registers.card.CAP_FEATURES.read()
    caps = Capabilities(
        queues=counts["queues"], pools=counts["pools"], regions=counts["regions"],
        page_bytes=1 << sizes["page_log2"], chunk_bytes=1 << sizes["chunk_log2"],
        region_pages=1 << sizes["region_pages_log2"], bus_bytes=1 << sizes["bus_log2"],
        frame_bytes=limits["frame_bytes"], burst_bytes=limits["burst_bytes"],
        **{name: bool(features[name]) for name in (
            "header_split", "parser", "steering", "statistics", "timestamps")},
        clock_khz=registers.card.CAP_CLOCK.get())
    sane = (1 <= caps.queues <= abi.QUEUES_MAX and 1 <= caps.pools <= abi.POOLS_MAX
            and 1 <= caps.regions <= abi.REGION_SLOTS_MAX
            and 1 <= caps.chunks <= abi.CHUNKS_PER_PAGE_MAX
            and caps.page_bytes >= 4096 and caps.clock_khz > 0
            and caps.regions * caps.region_pages <= 1 << abi.PAGE_ID_BITS)
    if not sane:
        raise CardError(f"the card reports sizes that the contract forbids: {caps}; it is corrupt "
                        f"or of another version")
    return caps
