"""Which parts of a card offer something to another, and so owe a proof that their offers stand."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from amaranth.hdl import Fragment
from amaranth.lib import wiring

from pagering_hdl.config import CardConfig
from pagering_hdl.top import Top

from .contract import streams

__all__ = ["components", "offering"]


def components(card: CardConfig) -> Iterator[Any]:
    """Yield every component of an elaborated card, each as often as it is there."""
    fragments = [Fragment.get(Top(card), "formal")]
    while fragments:
        fragment = fragments.pop()
        fragments += [inner for inner, _name, _location in fragment.subfragments]
        yield from (part for part in fragment.origins or ()
                    if isinstance(part, wiring.Component))


def offering(*cards: CardConfig) -> dict[type, set[str]]:
    """Return the kinds of components of these cards that have output streams, and which.

    Parameters
    ----------
    cards : :class:`CardConfig`
    """
    found: dict[type, set[str]] = {}
    for card in cards:
        for part in components(card):
            if outputs := {name for name, output, _port in streams(part) if output}:
                found.setdefault(type(part), set()).update(outputs)
    return found
