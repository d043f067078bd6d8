"""Which frames the card takes: by destination address and by VLAN."""

from __future__ import annotations

import zlib
from collections.abc import Iterable

from pagering import abi
from pagering.errors import CardError
from pagering.registers import RegisterMap

__all__ = ["BROADCAST", "Filters", "is_group", "multicast_hash", "parse_address"]

BROADCAST = (1 << 48) - 1


def is_group(address: int) -> bool:
    """Return whether this is a group address: multicast or broadcast."""
    return bool(address >> 40 & 1)


def multicast_hash(address: int) -> int:
    """Return which of the filter's 64 bits is this address's.

    Bits 31:26 of the CRC-32 of its six bytes, as most cards have it (``ether_crc`` in Linux).
    """
    crc = ~zlib.crc32(address.to_bytes(6, "big"))
    return sum((crc >> bit & 1) << 5 - bit for bit in range(6))


def parse_address(address: str | int) -> int:
    """Return a MAC address, given as a number or as ``02:00:00:00:00:01``, as a number.

    Raises
    ------
    ValueError
        If it is none.

    """
    if isinstance(address, int):
        if 0 <= address <= BROADCAST:
            return address
    else:
        parts = address.replace("-", ":").split(":")
        if len(parts) == 6 and all(len(part) == 2 for part in parts):
            try:
                return int("".join(parts), 16)
            except ValueError:
                pass
    raise ValueError(f"a MAC address is six pairs of hexadecimal digits, not {address!r}")


class Filters:
    """The card's filters. After reset it takes every frame."""

    def __init__(self, registers: RegisterMap) -> None:
        self._steer = registers.steer

    def _switch(self, name: str) -> bool:
        return bool(self._steer.FILTER.get(name))

    @property
    def promiscuous(self) -> bool:
        """Whether frames to every address are taken."""
        return self._switch("promiscuous")

    @promiscuous.setter
    def promiscuous(self, on: bool) -> None:
        self._steer.FILTER.modify(promiscuous=on)

    @property
    def all_multicast(self) -> bool:
        """Whether frames to every group address are taken."""
        return self._switch("all_multicast")

    @all_multicast.setter
    def all_multicast(self, on: bool) -> None:
        self._steer.FILTER.modify(all_multicast=on)

    @property
    def broadcast(self) -> bool:
        """Whether frames to the broadcast address are taken."""
        return self._switch("broadcast")

    @broadcast.setter
    def broadcast(self, on: bool) -> None:
        self._steer.FILTER.modify(broadcast=on)

    @property
    def addresses(self) -> frozenset[int]:
        """The addresses, eight at most, whose frames are taken even if not promiscuous."""
        return frozenset(address for _, address in self._rows() if address is not None)

    @addresses.setter
    def addresses(self, addresses: Iterable[str | int]) -> None:
        wanted = {parse_address(address) for address in addresses}
        if len(wanted) > abi.ADDRESSES:
            raise CardError(f"the card knows {abi.ADDRESSES} addresses, not {len(wanted)}; let it "
                            f"be promiscuous, or hash the groups among them")
        # First those that go, so that there is room; those that stay are never off.
        rows = dict(self._rows())
        for row, address in rows.items():
            if address is not None and address not in wanted:
                self._set_row(row, None)
                rows[row] = None
        free = [row for row, address in rows.items() if address is None]
        for row, address in zip(free, sorted(wanted - set(rows.values())), strict=False):
            self._set_row(row, address)

    def set_groups(self, addresses: Iterable[str | int]) -> None:
        """Take the frames of these group addresses, by hash: a few others may pass too.

        Raises
        ------
        ValueError
            If one of them is no group address.

        """
        hashes = 0
        for address in map(parse_address, addresses):
            if not is_group(address):
                raise ValueError(f"{address:012x} is no group address; put it in addresses")
            hashes |= 1 << multicast_hash(address)
        self._steer.MULTICAST_0.write(hashes=hashes & 0xFFFFFFFF)
        self._steer.MULTICAST_1.write(hashes=hashes >> 32)

    @property
    def vlans(self) -> frozenset[int] | None:
        """The VLANs whose frames are taken; None for all."""
        if not self._switch("vlan"):
            return None
        found = set()
        for row in range(abi.VLAN_ROWS):
            self._steer.ROW.write(row=row)
            word = self._steer.VLANS.get()
            found |= {32 * row + bit for bit in range(32) if word >> bit & 1}
        return frozenset(found)

    @vlans.setter
    def vlans(self, vlans: Iterable[int] | None) -> None:
        words = [0] * abi.VLAN_ROWS
        for vlan in vlans or ():
            if not 0 <= vlan < 32 * abi.VLAN_ROWS:
                raise ValueError(f"VLANs are 0 to {32 * abi.VLAN_ROWS - 1}; there is no {vlan}")
            words[vlan // 32] |= 1 << vlan % 32
        for row, word in enumerate(words if vlans is not None else ()):
            self._steer.ROW.write(row=row)
            self._steer.VLANS.write(vlans=word)
        self._steer.FILTER.modify(vlan=vlans is not None)

    @property
    def untagged(self) -> bool:
        """Whether untagged frames are taken although there are :attr:`vlans`."""
        return self._switch("untagged")

    @untagged.setter
    def untagged(self, on: bool) -> None:
        self._steer.FILTER.modify(untagged=on)

    def _rows(self) -> Iterable[tuple[int, int | None]]:
        for row in range(abi.ADDRESSES):
            self._steer.ROW.write(row=row)
            high = self._steer.ADDRESS_HIGH.read()
            address = high["address"] << 32 | self._steer.ADDRESS_LOW.get()
            yield row, address if high["valid"] else None

    def _set_row(self, row: int, address: int | None) -> None:
        self._steer.ROW.write(row=row)
        self._steer.ADDRESS_HIGH.write(valid=0)
        if address is not None:
            self._steer.ADDRESS_LOW.write(address=address & 0xFFFFFFFF)
            self._steer.ADDRESS_HIGH.write(address=address >> 32, valid=1)
