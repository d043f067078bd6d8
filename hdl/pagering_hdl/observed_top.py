"""The card with a port more, for a simulation that lets time stand still."""

from amaranth.hdl import Signal

from .top import Top

__all__ = ["ObservedTop"]


class ObservedTop(Top):
    """A card that tells whether it waits for nothing but its surroundings.

    Attributes
    ----------
    ports : :class:`dict` of :class:`str` to :class:`Signal`
        With ``timing``: the card is being reset, or a timer runs. While it is low, a card on whose
        ports nothing has happened for longer than its parts look around stays as it is.
    """

    def __init__(self, config):
        super().__init__(config)
        self.ports["timing"] = Signal(name="timing")

    def elaborate(self, platform):
        m = super().elaborate(platform)
        m.d.comb += self.ports["timing"].eq(self.engine.timing | self.reset.resetting)
        return m
