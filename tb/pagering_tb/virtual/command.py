"""``pagering card``: serve a card until interrupted."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterable
from pathlib import Path
from types import FrameType

from rich.console import Console

from pagering.capture import read_frames
from pagering.errors import PageringError
from pagering.traffic import made_up_frames
from pagering_hdl.config import CardConfig
from pagering_tb.library import LibraryCard
from pagering_tb.library.device import parse_config
from pagering_tb.paced_source import PacedSource, parse_rate

from .core import CardCore
from .server import CardServer
from .sources import FrameSource, InterfaceSource

__all__ = ["card_config", "frame_source", "serve"]

_RATE = 1000.0


def card_config(settings: Iterable[str]) -> CardConfig:
    """Return a card made as settings say, NAME=VALUE each or several with commas between.

    Raises
    ------
    PageringError
        If there is no such parameter, or the card cannot be made so.

    """
    pairs: dict[str, str] = {}
    for setting in [part for text in settings for part in text.split(",")]:
        name, equals, value = (part.strip() for part in setting.partition("="))
        if not (name and equals and value):
            raise PageringError(f"--config takes NAME=VALUE, not {setting!r}")
        pairs[name] = value
    return parse_config(pairs)


def frame_source(pcap: Path | None, iface: str | None, rate: str | None) -> FrameSource:
    """Return where frames come from.

    Raises
    ------
    PageringError
        If options exclude each other, or a source cannot be opened.

    """
    if iface is not None:
        if pcap is not None or rate is not None:
            raise PageringError("--iface brings frames as they come; leave out --pcap and --rate")
        return InterfaceSource(iface)
    frames = made_up_frames() if pcap is None else iter(read_frames(pcap).frames)
    return PacedSource(frames, _frames_per_second(rate))


def _frames_per_second(rate: str | None) -> float | None:
    """Return None for line rate."""
    try:
        return _RATE if rate is None else parse_rate(rate)
    except ValueError:
        raise PageringError(f"--rate must be frames in a second or line, not {rate}") from None


def serve(path: Path, settings: Iterable[str], pcap: Path | None, iface: str | None,
          rate: str | None, make: Callable[[CardConfig], CardCore] = LibraryCard) -> int:
    """Serve a card until interrupted; return 0.

    Parameters
    ----------
    path
        The socket.
    settings
        What the card is made of, for :func:`card_config`.
    pcap, iface, rate
        Where frames come from, for :func:`frame_source`.
    make
        Makes the card.

    Raises
    ------
    PageringError
        If an option is wrong, or the card cannot be made or served.

    """
    console = Console(stderr=True)

    def tell(text: str) -> None:
        console.print(text, highlight=False, markup=False, soft_wrap=True)

    config = card_config(settings)
    source = frame_source(pcap, iface, rate)
    server = CardServer(make(config), str(path), source, tell)

    def stop(_number: int, _frame: FrameType | None) -> None:
        server.stop()

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    tell(f"serving a card with {config.queues} queues at {path}; interrupt to end")
    try:
        server.serve()
    finally:
        server.close()
    return 0
