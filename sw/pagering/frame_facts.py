"""What the card says of a frame, whoever has its bytes."""

from __future__ import annotations

from pagering.abi import L3, L4
from pagering.records import FLAGS

__all__ = ["FrameFacts", "More"]

More = tuple[int, int | None, int]
"""What an extended completion adds: timestamp, VLAN tag, mark."""


class FrameFacts:
    """What a completion tells of its frame. It is true also of a frame that was returned.

    Attributes
    ----------
    hash : int
        As the card computed it; 0 from a card without steering.
    checksum : int
        16-bit ones'-complement sum of everything behind the 14 bytes of the Ethernet header,
        padding included: what Linux calls CHECKSUM_COMPLETE, whatever the protocol. 0 from a card
        without a parser.

    """

    __slots__ = ("_flags", "_more", "checksum", "hash")

    # Set by the constructor of the frame, which has to be quick.
    hash: int
    checksum: int
    _flags: int
    _more: More | None

    def _flag(self, name: str) -> int:
        # Only when asked: most frames are never asked most questions.
        shift, mask = FLAGS[name]
        return self._flags >> shift & mask

    @property
    def write_error(self) -> bool:
        """Whether a write of its data failed: its bytes are not to be trusted."""
        return bool(self._flag("write_error"))

    @property
    def l3(self) -> L3:
        """What its Ethernet header, behind any VLAN tags, is followed by; OTHER if not whole."""
        return L3(self._flag("l3"))

    @property
    def l4(self) -> L4:
        """What its IP header is followed by; OTHER if not whole, or not the first fragment."""
        return L4(self._flag("l4"))

    @property
    def fragment(self) -> bool:
        """Whether it is a part of a fragmented datagram."""
        return bool(self._flag("fragment"))

    @property
    def vlan(self) -> bool:
        """Whether it has a VLAN tag, which is left in place; see also :attr:`vlan_tci`."""
        return bool(self._flag("vlan"))

    @property
    def header_length(self) -> int | None:
        """Bytes up to the end of the L4 header; None if the card could not tell.

        It can of TCP, UDP, SCTP and ICMP, unless it is a fragment, or they end past 254 bytes.
        """
        return self._flag("header") or None

    @property
    def split(self) -> bool:
        """Whether its headers are apart from its payload: see :class:`HeaderSplit`."""
        return bool(self._flag("split"))

    @property
    def ip_checksum_ok(self) -> bool | None:
        """Whether the checksum of its IPv4 header is right; None if it has no such header."""
        return bool(self._flag("l3_ok")) if self._flag("l3_checked") else None

    @property
    def checksum_ok(self) -> bool | None:
        """Whether the checksum of its TCP or UDP is right; None if the card has not checked it.

        It does not of a fragment, nor if lengths do not fit together, nor if an IPv6 routing header
        is not used up. UDP over IPv4 without a checksum is right, over IPv6 it is wrong.
        """
        return bool(self._flag("l4_ok")) if self._flag("l4_checked") else None

    @property
    def timestamp(self) -> int | None:
        """When the first beat came in: nanoseconds by :attr:`Card.clock`.

        None unless the queue was added with ``extended=True``; so are the next two. 0 on a card
        without timestamps.
        """
        return self._more[0] if self._more else None

    @property
    def vlan_tci(self) -> int | None:
        """Tag control information of the outer VLAN tag; None also if the frame has no tag."""
        return self._more[1] if self._more else None

    @property
    def mark(self) -> int | None:
        """Of the flow rule that the frame met; 0 if it met none."""
        return self._more[2] if self._more else None
