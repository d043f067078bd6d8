"""What the buses must carry for a frame: the ideal, and the link model of the bench.

The link model is that of PCI Express, 64-bit addresses: a packet of writes has 24 bytes of header,
numbers and checks. For a card without a descriptor fetch it carries, per frame of ``L`` bytes,

* up: the frame, rounded up to 4 bytes, in packets of at most ``burst_bytes``; a quarter of a packet
  of 64 bytes for each completion;
* down: a token for each segment, sixteen in a packet of 64 bytes.

A burst on the card's memory bus is one packet. Tokens are written to successive words of the return
window, which a host combines to packets of 64 bytes; each other register write is a packet. Tokens
that the card fetches come down just so, and for each sixteen a request goes up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pagering import abi
from pagering_hdl.config import CardConfig

__all__ = ["LinkModel", "ideal"]

PACKET_BYTES = 24
"""Header, sequence number and check sum of a write, with a 64-bit address."""
TOKENS_PER_PACKET = 16
_COMPLETIONS_PER_LINE = abi.LINE_BYTES // abi.COMPLETION_BYTES


def ideal(sizes: Sequence[int], bus_bits: int) -> float:
    """Return the cycles that the bus needs for a frame and its completion, on average."""
    width = bus_bits // 8
    return sum(-(-size // width) for size in sizes) / len(sizes) + abi.COMPLETION_BYTES / width


class LinkModel:
    """Bytes for a frame, on average over a sequence of sizes.

    Parameters
    ----------
    config : CardConfig
        Of the card.
    sizes : Sequence[int]
        Of the frames, in turn.
    """

    def __init__(self, config: CardConfig, sizes: Sequence[int]) -> None:
        count = len(sizes)
        self.segments = sum(-(-size // config.page_bytes) for size in sizes) / count
        self.bursts = sum(-(-size // config.burst_bytes) for size in sizes) / count
        self._frames = sum(-(-size // 4) * 4 for size in sizes) / count
        self.payload = sum(sizes) / count + abi.COMPLETION_BYTES * self.segments
        """Bytes on the card's memory bus."""
        self.tolerance = 0.0 if count == 1 else 0.02 * self.payload
        """A window on mixed frames need not hold whole sequences."""
        self.up = (self._frames + self.bursts * PACKET_BYTES
                   + self.segments * (abi.LINE_BYTES + PACKET_BYTES) / _COMPLETIONS_PER_LINE)
        self.down = self.segments * self._token

    @property
    def _token(self) -> float:
        return (4 * TOKENS_PER_PACKET + PACKET_BYTES) / TOKENS_PER_PACKET

    def up_measured(self, measured: Mapping[str, Any]) -> float:
        """Return what the bursts that were counted are on the link."""
        requests = measured["fetched_per_frame"] / TOKENS_PER_PACKET
        return float(measured["link_bytes_per_frame"]
                     + (measured["bursts_per_frame"] + requests) * PACKET_BYTES)

    def down_measured(self, measured: Mapping[str, Any]) -> float:
        """Return what the register writes that were counted are on the link."""
        return float(measured["returns_per_frame"] * self._token
                     + measured["commands_per_frame"] * (4 + PACKET_BYTES))

    def explain(self, measured: Mapping[str, Any]) -> str:
        """Say where measure and model differ, and by what."""
        reasons = []
        for name, found, due in (
                ("bursts of data", measured["data_bursts_per_frame"], self.bursts),
                ("writes of completions", measured["line_bursts_per_frame"],
                 self.segments / _COMPLETIONS_PER_LINE),
                ("tokens", measured["returns_per_frame"], self.segments)):
            if abs(found - due) > 0.005:
                reasons.append(f"{found:.3f} {name} instead of {due:.3f}")
        if measured["fetched_per_frame"] > 0.005:
            reasons.append(f"{measured['fetched_per_frame']:.3f} tokens fetched, which takes "
                           f"requests")
        if measured["commands_per_frame"] > 0.005:
            reasons.append(f"{measured['commands_per_frame']:.3f} writes to tell how far it read")
        return "; ".join(reasons)
