"""``--device library``: the card's RTL in this process, as fast as it can be simulated.

Behind the colon come settings, ``name=value``, with commas between: those of
:class:`~pagering_hdl.config.CardConfig` (``bus_bits=128,queues=8``) and

``pcap``
    A capture whose frames come on the wire, once. Without it frames are made up, without end.
``rate``
    Frames a second, or ``line`` for as many as the card takes.
``latency``
    Of the host's memory, in cycles of the card.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from pagering.capture import read_frames
from pagering.devices import Device
from pagering.errors import PageringError
from pagering.traffic import made_up_frames
from pagering_hdl.config import CardConfig
from pagering_tb.paced_source import parse_rate

from .library_card import MEMORY_LATENCY, LibraryCard
from .transport import LibraryTransport
from .wire_feed import WireFeed

__all__ = ["open_library", "parse_config"]

_RATE = 1000.0
_WIRE_FRAMES = 1024
"""Enough for a slice of the card's clock."""
_OWN = ("pcap", "rate", "latency")


def open_library(name: str, rest: str) -> Device:
    """Open ``library`` or ``library:SETTINGS``.

    Raises
    ------
    PageringError
        If a setting is none, the capture cannot be read, or the card not be built.

    """
    settings = _settings(rest)
    own = {key: settings.pop(key) for key in _OWN if key in settings}
    config = parse_config(settings)
    frames = iter(read_frames(own["pcap"]).frames) if "pcap" in own else made_up_frames()
    feed = WireFeed(frames, _rate(own.get("rate", str(_RATE))))
    latency = _number("latency", own.get("latency", str(MEMORY_LATENCY)))
    try:
        card = LibraryCard(config, latency=latency, wire_frames=_WIRE_FRAMES)
    except ValueError as error:
        raise PageringError(str(error)) from error
    transport = LibraryTransport(card, feed)
    return Device(name, transport, transport.send, transport.ended)


def parse_config(settings: dict[str, str]) -> CardConfig:
    """Return the card that these settings name; what they do not name is as in the reference card.

    Raises
    ------
    PageringError
        If there is no such setting, or it has no such value.

    """
    fields = {field.name: field.type for field in dataclasses.fields(CardConfig)}
    values: dict[str, Any] = {}
    for key, text in settings.items():
        if key not in fields:
            raise PageringError(f"a card has no setting {key}; it has "
                                f"{', '.join((*fields, *_OWN))}")
        if fields[key] == "bool":
            if text not in ("yes", "no"):
                raise PageringError(f"{key} must be yes or no, not {text}")
            values[key] = text == "yes"
        else:
            values[key] = _number(key, text)
    try:
        return CardConfig(**values)
    except ValueError as error:
        raise PageringError(str(error)) from error


def _settings(text: str) -> dict[str, str]:
    settings: dict[str, str] = {}
    for setting in text.split(",") if text else ():
        key, equals, value = setting.partition("=")
        if not equals or not key or not value:
            raise PageringError(f"behind `library:` come settings like queues=8, with commas "
                                f"between, not {setting!r}")
        settings[key] = value
    return settings


def _rate(text: str) -> float | None:
    try:
        return parse_rate(text)
    except ValueError:
        raise PageringError(f"rate must be frames a second, more than 0, or `line`, not {text}") \
            from None


def _number(name: str, text: str) -> int:
    try:
        return int(text, 0)
    except ValueError:
        raise PageringError(f"{name} must be a number, not {text}") from None
