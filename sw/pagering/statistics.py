"""The card's counters under the names that Linux has for them.

``queue_statistics`` uses the names of queue statistics in the kernel's netlink specification
``netdev`` (attribute set ``qstats``); ``link_statistics`` those of ``struct rtnl_link_stats64`` and
``rmon_statistics`` those of ethtool's RMON group (RFC 2819), as the kernel's *Interface statistics*
describes them. All three only add up what the card counts, by the tables here.

https://docs.kernel.org/networking/statistics.html and
https://docs.kernel.org/networking/netlink_spec/netdev.html
"""

from __future__ import annotations

from collections.abc import Mapping

from pagering import abi
from pagering.abi import DropCause

__all__ = ["LINK", "OVERRUNS", "QUEUE", "link_statistics", "queue_statistics",
           "rmon_statistics"]

QUEUE: Mapping[str, tuple[str, ...]] = {
    "rx-packets": ("RX_PACKETS",),
    "rx-bytes": ("RX_BYTES",),
    "rx-alloc-fail": ("DROP_NO_MEMORY",),
    "rx-hw-drops": ("DROP_NO_MEMORY", "DROP_RING_FULL", "DROP_DISABLED", "DROP_FILTERED"),
    "rx-hw-drop-overruns": ("DROP_NO_MEMORY", "DROP_RING_FULL"),
    "rx-csum-complete": ("CSUM_COMPLETE",),
    "rx-csum-unnecessary": ("CSUM_UNNECESSARY",),
    "rx-csum-none": ("CSUM_NONE",),
    "rx-csum-bad": ("CSUM_BAD",),
}
"""Which of the queue's counters each statistic is the sum of. No page is software's failure to give
one, so it is an allocation failure and, as the frame is lost, an overrun too."""

OVERRUNS = frozenset({DropCause.OVERFLOW, DropCause.NO_PAGE, DropCause.POOL_LIMIT,
                      DropCause.QUEUE_QUOTA, DropCause.RING_FULL})
"""Causes that are a passing want of memory: the host did not keep up."""

_ERRORS = {
    "rx_crc_errors": (DropCause.BAD_FRAME,),
    "rx_length_errors": (DropCause.RUNT, DropCause.OVERSIZE),
    "rx_frame_errors": (DropCause.MALFORMED,),
}
LINK: Mapping[str, frozenset[DropCause]] = {
    **{name: frozenset(causes) for name, causes in _ERRORS.items()},
    "rx_errors": frozenset(cause for causes in _ERRORS.values() for cause in causes),
    "rx_missed_errors": OVERRUNS,
    "rx_dropped": frozenset({DropCause.CARD_DISABLED, DropCause.MAC_FILTER, DropCause.VLAN_FILTER,
                             DropCause.RULE, DropCause.QUEUE_DISABLED, DropCause.POOL_DISABLED}),
}
"""Which causes of drops each error of the link is the sum of. Every cause is in one of rx_errors,
rx_missed_errors and rx_dropped; what the host had no memory for is missed, not dropped."""


def queue_statistics(counters: Mapping[str, int]) -> dict[str, int]:
    """Return the ``qstats`` of a queue, or of several whose counters were added.

    Parameters
    ----------
    counters
        By the names of :data:`pagering.abi.QUEUE_COUNTERS`.

    """
    return {name: sum(counters[part] for part in parts) for name, parts in QUEUE.items()}


def link_statistics(counters: Mapping[str, int], rx_bytes: int) -> dict[str, int]:
    """Return what ``rtnl_link_stats64`` says of the receive side.

    Parameters
    ----------
    counters
        By the names of :data:`pagering.abi.COUNTERS`.
    rx_bytes
        Bytes of all queues.

    """
    return {"rx_packets": counters["FRAMES_DELIVERED"], "rx_bytes": rx_bytes,
            "multicast": counters["MULTICAST"],
            **{name: sum(counters[f"DROP_{cause.name}"] for cause in causes)
               for name, causes in LINK.items()}}


def rmon_statistics(counters: Mapping[str, int]) -> dict[str, int]:
    """Return frames in by size, good and bad, in bytes with FCS: ``"65-127"`` and so on.

    Parameters
    ----------
    counters
        By the names of :data:`pagering.abi.COUNTERS`.

    """
    return {_size_name(least, most): counters[f"SIZE_{least}_{'UP' if most is None else most}"]
            for least, most in abi.SIZES}


def _size_name(least: int, most: int | None) -> str:
    if most is None:
        return f"{least}+"
    return str(least) if least == most else f"{least}-{most}"
