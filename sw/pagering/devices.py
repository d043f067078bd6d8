"""Cards by name: what ``--device`` takes.

A name is a kind, and behind a colon what the kind needs. A new kind is a function in
:data:`KINDS`: it opens a transport, and says how frames can be brought to the card, if they can.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pagering.doctor import load
from pagering.errors import PageringError
from pagering.model_device import ModelCard
from pagering.transport import Transport
from pagering.vfio_transport import open_container, open_iommufd
from pagering.vfio_user import VfioUserCard

__all__ = ["KINDS", "Device", "open_device"]


def _never() -> bool:
    return False


@dataclass(frozen=True)
class Device:
    """A card that can be reached."""

    name: str
    transport: Transport
    send: Callable[[bytes], object] | None = None
    """Brings a frame to the card's wire; None if nobody here can."""
    ended: Callable[[], bool] = _never
    """Whether no more frames will come by themselves."""


def _model(name: str, rest: str) -> Device:
    card = ModelCard(rest or None)
    return Device(name, card, card.send, card.ended)


def _sim(name: str, rest: str) -> Device:
    device: Device = load("pagering_tb.sim_device", f"--device {name}").open_simulated(name, rest)
    return device


def _library(name: str, rest: str) -> Device:
    device: Device = load("pagering_tb.library.device", f"--device {name}").open_library(name, rest)
    return device


def _vfio(name: str, rest: str) -> Device:
    return Device(name, open_container(rest))


def _iommufd(name: str, rest: str) -> Device:
    return Device(name, open_iommufd(rest))


def _vfio_user(name: str, path: str) -> Device:
    if not path:
        raise PageringError(f"--device {name} needs a socket: vfio-user:PATH")
    return Device(name, VfioUserCard(path))


KINDS: Mapping[str, Callable[[str, str], Device]] = {
    "model": _model, "sim": _sim, "library": _library, "vfio-user": _vfio_user, "vfio": _vfio,
    "iommufd": _iommufd,
}
"""By kind, what opens a card: it gets the whole name, and what is behind the colon."""


def open_device(name: str) -> Device:
    """Open the card of this name.

    Raises
    ------
    PageringError
        If there is no such kind of device, or it cannot be opened.

    """
    kind, _, rest = name.partition(":")
    if kind not in KINDS:
        *others, last = KINDS
        raise PageringError(f"--device must be {', '.join(others)} or {last}, with what it needs "
                            f"behind a colon, not {name}")
    return KINDS[kind](name, rest)
