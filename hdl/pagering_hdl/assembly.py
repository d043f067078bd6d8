"""What the engine is put together from: parts with one concern, and the wires to them."""

from amaranth.hdl import Elaboratable

__all__ = ["Assembly"]


class Assembly:
    """Parts of the engine that belong together.

    Each attribute that is hardware is a part, by the name that synthesis knows it by. The parts
    become submodules of the engine itself: in a netlist, and in the table of its area, all of them
    stand side by side.

    An assembly drives the inputs of its own parts, from its other parts or from those of its
    neighbours. A stream is joined where it is received, and a lookup where it is asked.
    """

    def parts(self):
        """Return the parts by name."""
        return {name: part for name, part in vars(self).items() if isinstance(part, Elaboratable)}

    def wire(self, m, engine):
        """Drive the inputs of the parts; ``engine`` has the ports and the other assemblies."""
        raise NotImplementedError
