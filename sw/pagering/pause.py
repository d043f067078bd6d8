"""When the other side of the wire must be silent: the part of a card that says so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pagering import abi

if TYPE_CHECKING:
    from pagering.registers import RegisterMap

__all__ = ["Pausing"]


class Pausing:
    """A card that asks for pause."""

    registers: RegisterMap

    def set_pause(self, *, fifo: tuple[int, int] | None = None, pools: bool = True,
                  held: bool = True) -> None:
        """Choose what makes the card ask the other side of the wire to pause.

        Parameters
        ----------
        fifo
            Bytes in the packet FIFO (XOFF, XON), multiples of 64: pause from when it holds so many
            until it has fallen to so many. None: whatever the FIFO holds.
        pools
            While an open pool is low on pages, by its ``low_water``.
        held
            While a frame waits for memory.

        Raises
        ------
        ValueError
            If a level is out of range, or XON is not below XOFF.

        """
        unit, most = abi.PAUSE_UNIT, (abi.PAUSE_UNIT << 16) - abi.PAUSE_UNIT
        if fifo is not None:
            xoff, xon = fifo
            if xoff % unit or xon % unit or not 0 <= xon < xoff <= most:
                raise ValueError(f"a FIFO pauses at multiples of {unit} bytes up to {most}, XON "
                                 f"below XOFF, not at {xoff} and {xon}")
            self.registers.card.PAUSE_FIFO.write(xoff=xoff // unit, xon=xon // unit)
        self.registers.card.PAUSE.write(fifo=int(fifo is not None), pools=int(pools),
                                        held=int(held))

    @property
    def pausing(self) -> bool:
        """Whether the card asks the other side of the wire to pause."""
        return bool(self.registers.card.PAUSE_STATUS.get("pause"))

    @property
    def fifo_peak(self) -> int:
        """Most bytes that the packet FIFO has held at one time."""
        return self.registers.card.FIFO_PEAK.get()
