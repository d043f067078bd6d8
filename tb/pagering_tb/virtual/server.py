"""The event loop of a virtual card: one client, a wire, and a card that runs while it has to.

The loop sleeps in the system until somebody writes to a socket, a frame is due or comes in; only
while the card is at work does it run, a slice at a time, and looks at the sockets in between. A
second client is told that the card is in use. When a client is gone, however it went, the card is
reset and its memory let go of before the next one is heard.
"""

from __future__ import annotations

import contextlib
import errno
import os
import selectors
import socket
import stat
from collections.abc import Callable

from pagering.errors import CardGone, PageringError
from pagering.vfio_user_channel import Channel, ChannelClosed
from pagering.vfio_user_messages import MessageFlag

from .core import CardCore
from .function import PciFunction
from .session import Session
from .sources import FrameSource

__all__ = ["CardServer"]

_SLICE_CYCLES = 512
"""At most so long must a register access wait for the card."""
_MESSAGES = 64
"""Most messages in a row, for frames must come in too."""
_WAITING_MAX = 8
"""Clients that were not told yet that the card is in use."""


class CardServer:
    """Serves one card at one socket.

    Parameters
    ----------
    core
        The card; closed with the server.
    path
        The socket. One that a process left behind is replaced.
    source
        Where frames come from; None for nowhere.
    log
        Told, a sentence each, of clients and of what they were refused.

    Raises
    ------
    PageringError
        If the socket cannot be made, or is in use.

    """

    def __init__(self, core: CardCore, path: str, source: FrameSource | None = None,
                 log: Callable[[str], object] = lambda _: None) -> None:
        self.function = PciFunction(core)
        self.path = path
        self.session: Session | None = None
        self._core = core
        self._source = source
        self._log = log
        self._turned_away: set[Channel] = set()
        self._selector = selectors.DefaultSelector()
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._stopped = False
        self._listener = _listen(path)
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._selector.register(self._wake_read, selectors.EVENT_READ)
        self._open = False
        self._heard: int | None = None
        """The source's descriptor, while it is waited for."""

    # The loop

    def serve(self) -> None:
        """Serve until :meth:`stop`.

        Raises
        ------
        CardGone
            If the card broke: it can do no more but be closed.

        """
        while not self._stopped:
            self.turn()

    def stop(self) -> None:
        """End :meth:`serve`, from another thread or a signal's handler."""
        self._stopped = True
        with contextlib.suppress(BlockingIOError):
            os.write(self._wake_write, b"\0")

    def turn(self) -> None:
        """Wait until there is something to do, and do some of it."""
        self._watch_source()
        ready = {key.fileobj for key, _ in self._selector.select(self._patience())}
        if self._wake_read in ready:
            os.read(self._wake_read, 64)
        if self.session is not None and self.session.channel in ready:
            self._hear_client()
        if self._listener in ready:
            self._answer_callers()
        for channel in [known for known in self._turned_away if known in ready]:
            self._turn_away(channel)
        self._feed()
        if not self._core.quiet:
            self._core.run(_SLICE_CYCLES)

    def _patience(self) -> float | None:
        """Return for how many seconds there is nothing to do."""
        if not self._core.quiet:
            return 0.0
        if self._source is None or not self.function.receives:
            return None
        return self._source.seconds_to_next()

    def _watch_source(self) -> None:
        """Wake for the source's descriptor while the card takes frames and has room."""
        wanted = None
        if self._source is not None and self.function.receives and self._core.quiet:
            wanted = self._source.fileno()
        if wanted != self._heard:
            if self._heard is not None:
                self._selector.unregister(self._heard)
            if wanted is not None:
                self._selector.register(wanted, selectors.EVENT_READ)
            self._heard = wanted

    def _feed(self) -> None:
        """Bring frames that are due to the wire, of those that came since the card takes any."""
        if self._source is None:
            return
        if self._open:
            self._source.feed(self._core.send)
        else:
            self._source.skip()
        self._open = self.function.receives

    def bring(self, frame: bytes) -> bool:
        """Bring a frame to the wire by hand; return whether there was room."""
        return self._core.send(frame)

    # Clients

    def _hear_client(self) -> None:
        """Do what the client asks for, some messages at a time."""
        session = self.session
        if session is None:
            return
        try:
            session.channel.flush()
            for _ in range(_MESSAGES):
                # Who does not read answers is not asked for more questions.
                if session.channel.unsent or (message := session.channel.receive()) is None:
                    break
                session.handle(message)
        except ChannelClosed as error:
            self._lose_client(str(error))
            return
        writing = selectors.EVENT_WRITE if session.channel.unsent else selectors.EVENT_READ
        self._selector.modify(session.channel, writing)

    def _lose_client(self, why: str) -> None:
        session = self.session
        assert session is not None
        self._selector.unregister(session.channel)
        session.channel.close()
        self.function.release()
        self._log(f"client gone after {session.commands.total()} messages: {why}")
        self.session = None

    def _answer_callers(self) -> None:
        """Take a client in, or tell it that there is one."""
        with contextlib.suppress(BlockingIOError):
            while True:
                caller, _ = self._listener.accept()
                caller.setblocking(False)
                channel = Channel(caller)
                if self.session is not None:
                    # It may have gone just now, to come again: hear the last of it first.
                    self._hear_client()
                if self.session is None:
                    self.session = Session(channel, self.function, self._log)
                    self._selector.register(channel, selectors.EVENT_READ)
                    self._log("client connected")
                elif len(self._turned_away) < _WAITING_MAX:
                    self._turned_away.add(channel)
                    self._selector.register(channel, selectors.EVENT_READ)
                else:
                    channel.close()

    def _turn_away(self, channel: Channel) -> None:
        """Answer the first question of a client that comes too much; then it is gone."""
        over = False
        try:
            if (message := channel.receive()) is not None:
                message.close()
                channel.send(message.header.id, message.header.command, error=errno.EBUSY,
                             flags=MessageFlag.REPLY | MessageFlag.ERROR)
                self._log("second client turned away")
                over = True
        except ChannelClosed:
            over = True
        if over:
            self._turned_away.discard(channel)
            self._selector.unregister(channel)
            channel.close()

    # The end

    def close(self) -> None:
        """Let go of the client, the socket and the card."""
        if self.session is not None:
            with contextlib.suppress(CardGone):  # a card that broke has nothing left to forget
                self._lose_client("the card is switched off")
        for channel in self._turned_away:
            channel.close()
        self._selector.close()
        self._listener.close()
        os.close(self._wake_read)
        os.close(self._wake_write)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)
        if self._source is not None:
            self._source.close()
        self._core.close()


def _listen(path: str) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX)
    try:
        with contextlib.suppress(FileNotFoundError):
            if stat.S_ISSOCK(os.stat(path).st_mode) and not _answered(path):
                os.unlink(path)
        listener.bind(path)
        listener.listen()
    except OSError as error:
        listener.close()
        raise PageringError(f"no socket can be made at {path}: {error.strerror or error}"
                            ) from error
    listener.setblocking(False)
    return listener


def _answered(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            return False
    return True
