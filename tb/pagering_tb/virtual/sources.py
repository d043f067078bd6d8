"""Where a virtual card's frames come from: made up, a capture, or an interface of Linux's."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable
from typing import Protocol

from pagering.errors import PageringError

__all__ = ["FrameSource", "InterfaceSource", "with_tag"]

_ALL_PROTOCOLS = 0x0003
_FRAME_BYTES_MAX = 1 << 16
_SOL_PACKET, _ADD_MEMBERSHIP, _AUXDATA, _IGNORE_OUTGOING = 263, 1, 8, 23
_PROMISCUOUS = 1
_TAG_VALID, _TAG_TYPE_VALID = 0x10, 0x40
_PER_TURN = 64


class FrameSource(Protocol):
    """A wire."""

    def feed(self, send: Callable[[bytes], bool]) -> None:
        """Send what is due, until ``send`` says that there is no room."""

    def skip(self) -> None:
        """Let go by what comes while the card takes nothing."""

    def seconds_to_next(self) -> float | None:
        """Return how long it is until the next frame; None if nobody can say."""

    def fileno(self) -> int | None:
        """Return what is readable when frames come in, if there is such a thing."""

    def close(self) -> None:
        """Let go of it."""


class InterfaceSource:
    """All that comes in at an interface, by AF_PACKET. VLAN tags are put back in place.

    Parameters
    ----------
    name
        The interface.

    Raises
    ------
    PageringError
        If it cannot be listened to.

    """

    def __init__(self, name: str) -> None:
        self._held: bytes | None = None
        try:
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        except PermissionError as error:
            raise PageringError(f"--iface {name} needs CAP_NET_RAW; run as root, or in a network "
                                f"namespace of your own") from error
        try:
            self._listen(name)
        except OSError as error:
            self._socket.close()
            raise PageringError(f"--iface {name} cannot be listened to: "
                                f"{error.strerror or error}") from error

    def _listen(self, name: str) -> None:
        sock = self._socket
        sock.setblocking(False)
        sock.setsockopt(_SOL_PACKET, _AUXDATA, 1)
        with contextlib.suppress(OSError):  # Linux 4.20; before, own frames come back too
            sock.setsockopt(_SOL_PACKET, _IGNORE_OUTGOING, 1)
        index = socket.if_nametoindex(name)
        sock.bind((name, _ALL_PROTOCOLS))
        sock.setsockopt(_SOL_PACKET, _ADD_MEMBERSHIP, index.to_bytes(4, "little")
                        + _PROMISCUOUS.to_bytes(2, "little") + bytes(10))

    def feed(self, send: Callable[[bytes], bool]) -> None:
        """Send what has come in."""
        for _ in range(_PER_TURN):
            frame = self._held or self._receive()
            if frame is None:
                return
            if not send(frame):
                self._held = frame
                return
            self._held = None

    def _receive(self) -> bytes | None:
        try:
            data, ancillary, _, _ = self._socket.recvmsg(_FRAME_BYTES_MAX, 256)
        except BlockingIOError:
            return None
        except OSError:
            return None  # the interface went down; it may come up again
        for level, kind, aux in ancillary:
            if (level, kind) == (_SOL_PACKET, _AUXDATA):
                return with_tag(data, aux)
        return data

    def skip(self) -> None:
        """Throw away what has come in."""
        self._held = None
        while self._receive() is not None:
            pass

    def seconds_to_next(self) -> float | None:
        """Return None, for nobody knows; or 0 if one waits for room."""
        return None if self._held is None else 0.0

    def fileno(self) -> int | None:
        """Return the socket's."""
        return self._socket.fileno()

    def close(self) -> None:
        """Stop listening."""
        self._socket.close()


def with_tag(frame: bytes, aux: bytes) -> bytes:
    """Return a frame with the VLAN tag that Linux has taken out of it, if it has.

    ``aux`` is a ``struct tpacket_auxdata``.
    """
    status = int.from_bytes(aux[0:4], "little")
    if not status & _TAG_VALID:
        return frame
    tci = int.from_bytes(aux[16:18], "little")
    kind = int.from_bytes(aux[18:20], "little") if status & _TAG_TYPE_VALID else 0x8100
    return frame[:12] + kind.to_bytes(2, "big") + tci.to_bytes(2, "big") + frame[12:]
