"""Named access to the card's registers, made from the contract alone.

``RegisterMap(transport)`` offers every register of :mod:`pagering.abi` by name. No offset and no
bit position is written here. Each ``read`` is one 32-bit read and each ``write`` one 32-bit
write; ``modify`` is one of each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from pagering import abi
from pagering.transport import Transport

__all__ = ["BlockView", "BoundRegister", "RegisterMap"]


class BoundRegister:
    """One register of one card."""

    __slots__ = ("_layout", "_transport", "offset")

    def __init__(self, transport: Transport, layout: abi.Register, offset: int) -> None:
        self._transport = transport
        self._layout = layout
        self.offset = offset
        """Where the register is, in bytes from the start of the card's window."""

    def word(self) -> int:
        """Read the register and return all 32 bits."""
        return self._transport.read32(self.offset)

    def read(self) -> dict[str, int]:
        """Read the register and return its fields by name."""
        return self._layout.unpack(self.word())

    def get(self, name: str | None = None) -> int:
        """Read the register and return one field.

        Parameters
        ----------
        name
            The field. It may be left out if the register has only one.

        Raises
        ------
        ValueError
            If the register has no such field, or has several and none is named.

        """
        named = {f.name: f for f in self._layout.named}
        if name is None and len(named) == 1:
            (name,) = named
        if name is None or name not in named:
            asked = "no field was named" if name is None else f"{name!r} is none of them"
            raise ValueError(f"register {self._layout.name} has the fields "
                             f"{', '.join(named)}; {asked}")
        return (self.word() & named[name].mask) >> named[name].lsb

    def write(self, **fields: int) -> None:
        """Write the register; fields that are not named take their reset value.

        Raises
        ------
        ValueError
            If the register is read only, a field does not exist or a value does not fit.

        """
        self._write(self._layout.pack(**fields))

    def writer(self, name: str) -> Callable[[int], None]:
        """Return what writes one field, and 0 to all others, as fast as Python can.

        What it is given is masked to the field, not checked.

        Raises
        ------
        ValueError
            If the register is read only or has no such field.

        """
        self._layout.pack(**{name: 0})
        self._check_writable()
        mask, lsb = self._layout[name].mask, self._layout[name].lsb
        write, offset = self._transport.write32, self.offset
        return lambda value: write(offset, value << lsb & mask)

    def write_word(self, word: int) -> None:
        """Write all 32 bits.

        Raises
        ------
        ValueError
            If the register is read only or ``word`` is wider than 32 bits.

        """
        if not 0 <= word < 1 << 32:
            raise ValueError(f"register {self._layout.name} is 32 bits wide; {word} does not fit")
        self._write(word)

    def modify(self, **fields: int) -> None:
        """Change these fields and write the others back as they are.

        Raises
        ------
        ValueError
            If the register does not read back what was written, a field does not exist or a
            value does not fit.

        """
        if self._layout.access is not abi.Access.RW:
            raise ValueError(f"register {self._layout.name} is {self._layout.access.value}; only "
                             f"RW registers can be modified")
        current = self.read()
        self._write(self._layout.pack(**{**current, **fields}))

    def _write(self, word: int) -> None:
        self._check_writable()
        self._transport.write32(self.offset, word)

    def _check_writable(self) -> None:
        if self._layout.access is abi.Access.RO:
            raise ValueError(f"register {self._layout.name} is read only")


class BlockView:
    """The registers of one copy of a block, as attributes: ``view.CONTROL``."""

    def __init__(self, transport: Transport, block: abi.Block, index: int = 0) -> None:
        self._name = block.name
        self._registers = {r.name: BoundRegister(transport, r, block.address(r.name, index))
                           for r in block}

    def __getattr__(self, name: str) -> BoundRegister:
        # __dict__ and not self._registers: copying a half-made object must not recurse.
        found: BoundRegister | None = self.__dict__.get("_registers", {}).get(name)
        if found is None:
            raise AttributeError(f"block {self.__dict__.get('_name')} has no register {name!r}")
        return found

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self._registers]

    def count(self, name: str) -> int:
        """Read a counter of 64 bits, whole: as it was at one moment.

        If its upper half moves between two reads of it, the lower half may be of either side of
        that: it is read again. Other readers do not matter.
        """
        low, high = getattr(self, name), getattr(self, f"{name}_HIGH")
        upper = high.word()
        while True:
            lower, before, upper = low.word(), upper, high.word()
            if upper == before:
                return int(upper << 32 | lower)

    def counts(self, counters: Iterable[abi.Counter]) -> dict[str, int]:
        """Read several counters; return them by name."""
        return {counter.name: self.count(counter.name) for counter in counters}


class RegisterMap:
    """All registers of a card.

    Parameters
    ----------
    transport
        How the registers are reached.
    queues, pools, regions
        How many of each the card has; an index past the end is refused here, before the card
        sees it. The contract's maximum if left out.

    """

    def __init__(self, transport: Transport, *, queues: int = abi.QUEUES_MAX,
                 pools: int = abi.POOLS_MAX, regions: int = abi.REGION_SLOTS_MAX) -> None:
        self._transport = transport
        self._counts = {"": 1, "queues": queues, "pools": pools, "regions": regions}
        self._views: dict[tuple[str, int], BlockView] = {}
        self.card = self._view(abi.CARD, 0)
        """Card-wide registers."""
        self.steer = self._view(abi.STEER, 0)
        """Registers of steering."""
        self.stats = self._view(abi.STATS, 0)
        """Card-wide counters; read them with :meth:`BlockView.count`."""

    def region(self, slot: int) -> BoundRegister:
        """Return the register of region ``slot``."""
        return self._view(abi.REGION, slot).REGION

    def pool(self, index: int) -> BlockView:
        """Return the registers of a pool."""
        return self._view(abi.POOL, index)

    def queue(self, index: int) -> BlockView:
        """Return the privileged registers of a queue."""
        return self._view(abi.QUEUE, index)

    def user(self, index: int) -> BlockView:
        """Return the user registers of a queue."""
        return self._view(abi.USER, index)

    def return_window(self, index: int) -> int:
        """Return the byte offset of a queue's return window."""
        self._check(abi.USER, index)
        return abi.USER.base + abi.USER.stride * index + abi.RETURN_WINDOW

    def counters(self) -> dict[str, int]:
        """Return every card-wide counter by its register name."""
        return self.stats.counts(abi.COUNTERS)

    def _view(self, block: abi.Block, index: int) -> BlockView:
        self._check(block, index)
        key = (block.name, index)
        if key not in self._views:
            self._views[key] = BlockView(self._transport, block, index)
        return self._views[key]

    def _check(self, block: abi.Block, index: int) -> None:
        count = self._counts[block.count]
        if not 0 <= index < count:
            raise ValueError(f"the card has {count} {block.count}, numbered from 0; there is "
                             f"no number {index}")
