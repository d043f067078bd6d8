"""Whole messages over a UNIX socket, with the descriptors that go along.

A header is read by itself, because descriptors come with the first byte of a message and the system
says no more than which read they came with. Nothing that a peer sends is trusted: a size that no
message has ends the channel before a byte of it is taken, and descriptors that nobody asked for are
closed.
"""

from __future__ import annotations

import array
import ctypes
import os
import socket
from collections.abc import Sequence
from dataclasses import dataclass

from pagering.errors import PageringError
from pagering.vfio_user_messages import (
    BODY_BYTES_MAX,
    DESCRIPTORS_MAX,
    REPLY_TYPE,
    Command,
    Header,
    MessageFlag,
)

__all__ = ["Channel", "ChannelClosed", "Message"]

_HEADER_BYTES = ctypes.sizeof(Header)
_ANCILLARY_BYTES = socket.CMSG_SPACE(DESCRIPTORS_MAX * array.array("i").itemsize)


class ChannelClosed(PageringError):
    """The peer closed the socket, or sent what cannot be a message."""


@dataclass
class Message:
    """What came."""

    header: Header
    body: bytearray
    descriptors: list[int]

    @property
    def is_reply(self) -> bool:
        """Whether it answers."""
        return self.header.flags & REPLY_TYPE == MessageFlag.REPLY

    def take_descriptors(self) -> list[int]:
        """Return the descriptors; who takes them closes them."""
        taken, self.descriptors = self.descriptors, []
        return taken

    def close(self) -> None:
        """Close the descriptors that nobody took."""
        for descriptor in self.take_descriptors():
            os.close(descriptor)


class Channel:
    """One end of a connection.

    Parameters
    ----------
    sock
        A connected stream socket, blocking or not; closed with the channel.

    """

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        self._unsent = bytearray()
        self._descriptors: list[int] = []
        self._forget()

    def _forget(self) -> None:
        self._head = bytearray()
        self._header: Header | None = None
        self._body = bytearray()
        self._filled = 0

    def fileno(self) -> int:
        """Return the socket's descriptor, for an event loop."""
        return self.socket.fileno()

    # In

    def receive(self) -> Message | None:
        """Return the next message, or None if the rest of it is not there yet.

        Raises
        ------
        ChannelClosed
            If no more will come.
        TimeoutError
            If the socket has a timeout, and it is over.

        """
        try:
            if self._header is None and not self._receive_header():
                return None
            return self._receive_body()
        except BlockingIOError:
            return None
        except ConnectionError as error:
            raise ChannelClosed(f"the peer broke the connection: {error.strerror}") from error

    def _receive_header(self) -> bool:
        while (missing := _HEADER_BYTES - len(self._head)) > 0:
            part, ancillary, _, _ = self.socket.recvmsg(missing, _ANCILLARY_BYTES,
                                                        socket.MSG_CMSG_CLOEXEC)
            for level, kind, data in ancillary:
                if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                    found = array.array("i")
                    found.frombytes(data[:len(data) - len(data) % found.itemsize])
                    self._descriptors += found
            if len(self._descriptors) > DESCRIPTORS_MAX:
                raise ChannelClosed(f"the peer sent more than {DESCRIPTORS_MAX} descriptors")
            if not part:
                raise ChannelClosed("the peer closed the connection" + (
                    " in the middle of a message" if self._head else ""))
            self._head += part
        header = Header.from_buffer_copy(self._head)
        size = header.size - _HEADER_BYTES
        if not 0 <= size <= BODY_BYTES_MAX:
            raise ChannelClosed(f"the peer sent a message of {header.size} bytes; they have "
                                f"{_HEADER_BYTES} to {_HEADER_BYTES + BODY_BYTES_MAX}")
        self._header, self._body = header, bytearray(size)
        return True

    def _receive_body(self) -> Message:
        while self._filled < len(self._body):
            with memoryview(self._body) as view:
                got = self.socket.recv_into(view[self._filled:])
            if not got:
                raise ChannelClosed("the peer closed the connection in the middle of a message")
            self._filled += got
        assert self._header is not None
        message = Message(self._header, self._body, self._descriptors)
        self._descriptors = []
        self._forget()
        return message

    # Out

    @property
    def unsent(self) -> int:
        """Bytes that the peer has not had room for; only if the socket does not block."""
        return len(self._unsent)

    def send(self, identity: int, command: Command | int, body: bytes = b"",
             descriptors: Sequence[int] = (), flags: int = 0, error: int = 0) -> None:
        """Send a message, or what there is room for; the rest goes with :meth:`flush`.

        Raises
        ------
        ChannelClosed
            If the peer is gone.
        TimeoutError
            If the socket has a timeout, and it is over.

        """
        header = Header(identity, command, _HEADER_BYTES + len(body), flags, error)
        data = memoryview(bytes(header) + body)
        if self._unsent:
            self._unsent += data
            return
        try:
            sent = (socket.send_fds(self.socket, [data], list(descriptors)) if descriptors
                    else self.socket.send(data))
        except BlockingIOError:
            sent = 0
        except ConnectionError as problem:
            raise ChannelClosed(f"the peer is gone: {problem.strerror}") from problem
        if sent < len(data):
            self._unsent += data[sent:]
            self.flush()

    def flush(self) -> None:
        """Send what is left: all of it if the socket blocks.

        Raises
        ------
        ChannelClosed
            If the peer is gone.
        TimeoutError
            If the socket has a timeout, and it is over.

        """
        try:
            while self._unsent:
                del self._unsent[:self.socket.send(self._unsent)]
        except BlockingIOError:
            pass
        except ConnectionError as error:
            raise ChannelClosed(f"the peer is gone: {error.strerror}") from error

    def close(self) -> None:
        """Close the socket, and descriptors of a message that did not get here whole."""
        self.socket.close()
        for descriptor in self._descriptors:
            os.close(descriptor)
        self._descriptors = []
