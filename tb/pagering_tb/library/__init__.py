"""The card's RTL as a shared library: what a process calls that wants a fast card and no cocotb.

``boundary`` puts registers around the card's inputs, ``build`` compiles it together with the C++
in ``harness``, and :class:`~pagering_tb.library.library_card.LibraryCard` is the result in Python.
"""

from __future__ import annotations

from .harness_interface import Counters
from .library_card import AccessError, LibraryCard

__all__ = ["AccessError", "Counters", "LibraryCard"]
