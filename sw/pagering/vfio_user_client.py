"""A driver's end of a vfio-user socket: the system calls of VFIO, asked of another process."""

from __future__ import annotations

import ctypes
import errno
import json
import os
import select
import socket
import time
from collections.abc import Sequence
from typing import TypeVar

from pagering.errors import CardError, CardGone
from pagering.vfio_user_channel import Channel, ChannelClosed, Message
from pagering.vfio_user_messages import (
    DATA_BYTES_MAX,
    DESCRIPTORS_MAX,
    MAJOR,
    MINOR,
    Command,
    DeviceInfo,
    DmaFlag,
    DmaMap,
    DmaUnmap,
    Irq,
    IrqInfo,
    IrqSet,
    IrqSetFlag,
    MessageFlag,
    Region,
    RegionAccess,
    RegionInfo,
    Version,
)

__all__ = ["VfioUserClient"]

_IDS = 1 << 16
_ACCESS_BYTES = ctypes.sizeof(RegionAccess)
_RETRY_S = 0.02
_StructureT = TypeVar("_StructureT", bound=ctypes.Structure)


class VfioUserClient:
    """A connection to one PCI function. One thread at a time may use it.

    Parameters
    ----------
    path
        The socket.
    timeout
        Most seconds that an answer may take. A simulated card can be slow.
    patience
        Seconds to wait for the socket to be there.

    Attributes
    ----------
    gone
        Why the function cannot be reached any more; empty while it can.

    Raises
    ------
    CardError
        If nobody serves there, or not us.

    """

    def __init__(self, path: str, timeout: float = 600.0, patience: float = 0.0) -> None:
        self.path = path
        self.gone = ""
        self._error: type[CardError] = CardGone
        self._timeout = timeout
        self._identity = 0
        sock = self._connect(path, patience)
        sock.settimeout(timeout)
        self._channel = Channel(sock)
        try:
            self._agree()
        except BaseException:
            self._channel.close()
            raise

    @staticmethod
    def _connect(path: str, patience: float) -> socket.socket:
        end = time.monotonic() + patience
        while True:
            sock = socket.socket(socket.AF_UNIX)
            try:
                sock.connect(path)
                return sock
            except OSError as error:
                sock.close()
                if time.monotonic() >= end:
                    raise CardError(f"no card is served at {path}: {error.strerror or error}; "
                                    f"start one with pagering card --socket") from error
                time.sleep(_RETRY_S)

    def _agree(self) -> None:
        """Agree on a version."""
        offer = {"capabilities": {"max_msg_fds": DESCRIPTORS_MAX,
                                  "max_data_xfer_size": DATA_BYTES_MAX}}
        try:
            answer = self.ask(Command.VERSION, bytes(Version(MAJOR, MINOR))
                              + json.dumps(offer).encode() + b"\0")
        except CardError as error:
            if isinstance(error.__cause__, OSError) and error.__cause__.errno == errno.EBUSY:
                raise CardError(f"the card at {self.path} is in use by another driver; end that "
                                f"one first") from error
            raise
        version = _parse(Version, answer)
        if version.major != MAJOR:
            raise CardError(f"{self.path} speaks version {version.major} of vfio-user, not "
                            f"{MAJOR}")

    def fileno(self) -> int:
        """Return the socket's descriptor; it hangs up when the function is gone."""
        return self._channel.fileno()

    # Messages

    def ask(self, command: Command, body: bytes = b"",
            descriptors: Sequence[int] = ()) -> bytearray:
        """Send a command; return the body of its answer.

        Raises
        ------
        CardError
            If it is refused, or not answered in time.
        CardGone
            If there is nobody any more.

        """
        self._check()
        self._identity = (self._identity + 1) % _IDS
        try:
            self._channel.send(self._identity, command, body, descriptors)
            while (answer := self._receive()).header.id != self._identity:
                answer.close()
        except ChannelClosed as error:
            raise self._lose(f"the card at {self.path} is gone: {error}") from error
        except TimeoutError as error:
            raise self._give_up() from error
        answer.close()
        if answer.header.flags & MessageFlag.ERROR:
            cause = OSError(answer.header.error, os.strerror(answer.header.error))
            raise CardError(f"the card at {self.path} refused {command.name}: "
                            f"{cause.strerror}") from cause
        return answer.body

    def post(self, command: Command, body: bytes) -> None:
        """Send a command that nobody answers. It is lost if the function is gone."""
        if self.gone:
            return
        self._identity = (self._identity + 1) % _IDS
        try:
            self._channel.send(self._identity, command, body, flags=MessageFlag.NO_REPLY)
        except ChannelClosed as error:
            self._lose(f"the card at {self.path} is gone: {error}")
        except TimeoutError:
            self._give_up()

    def check(self) -> None:
        """Look whether the function is still there, without asking it.

        Raises
        ------
        CardGone
            If it is not.
        CardError
            If it was given up.

        """
        self._check()
        poll = select.poll()
        poll.register(self.fileno(), select.POLLRDHUP)
        if poll.poll(0):
            raise self._lose(f"the card at {self.path} is gone: it closed the connection")

    def _receive(self) -> Message:
        """Return the next answer. We are asked nothing: all our memory has descriptors."""
        while True:
            message = self._channel.receive()
            assert message is not None, "the socket blocks"
            if message.is_reply:
                return message
            message.close()
            self._channel.send(message.header.id, message.header.command,
                               flags=MessageFlag.REPLY | MessageFlag.ERROR, error=errno.ENOTSUP)

    def _check(self) -> None:
        if self.gone:
            raise self._error(self.gone)

    def _lose(self, why: str) -> CardGone:
        self.gone = why
        return CardGone(why)

    def _give_up(self) -> CardError:
        """End a connection on which a late answer would be taken for that of another question."""
        self._channel.close()
        self.gone = (f"the card at {self.path} has not answered for {self._timeout:g} s; end its "
                     f"process, for it may still write to memory")
        self._error = CardError
        return CardError(self.gone)

    # What VFIO does

    def device_info(self) -> DeviceInfo:
        """Return what the function has."""
        asked = DeviceInfo(ctypes.sizeof(DeviceInfo))
        return _parse(DeviceInfo, self.ask(Command.GET_INFO, bytes(asked)))

    def region_info(self, region: Region) -> RegionInfo:
        """Return what a region is like."""
        asked = RegionInfo(ctypes.sizeof(RegionInfo), index=region)
        return _parse(RegionInfo, self.ask(Command.GET_REGION_INFO, bytes(asked)))

    def irq_info(self, irq: Irq) -> IrqInfo:
        """Return what interrupts of a kind are like."""
        asked = IrqInfo(ctypes.sizeof(IrqInfo), index=irq)
        return _parse(IrqInfo, self.ask(Command.GET_IRQ_INFO, bytes(asked)))

    def read(self, region: Region, offset: int, count: int) -> bytes:
        """Read bytes of a region."""
        answer = self.ask(Command.REGION_READ, bytes(RegionAccess(offset, region, count)))
        data = bytes(answer[_ACCESS_BYTES:])
        if len(data) != count:
            raise CardError(f"the card at {self.path} answered a read of {count} bytes with "
                            f"{len(data)}")
        return data

    def write(self, region: Region, offset: int, data: bytes) -> None:
        """Write bytes of a region, and wait until that is done."""
        self.ask(Command.REGION_WRITE, bytes(RegionAccess(offset, region, len(data))) + data)

    def post_write(self, region: Region, offset: int, data: bytes) -> None:
        """Write bytes of a region. They arrive in order, and before a later read."""
        self.post(Command.REGION_WRITE, bytes(RegionAccess(offset, region, len(data))) + data)

    def map_memory(self, address: int, size: int, descriptor: int, offset: int) -> None:
        """Let the function reach memory."""
        asked = DmaMap(ctypes.sizeof(DmaMap), DmaFlag.READ | DmaFlag.WRITE, offset, address, size)
        self.ask(Command.DMA_MAP, bytes(asked), [descriptor])

    def unmap_memory(self, address: int, size: int) -> None:
        """End that: the function does not write there any more when this returns."""
        self.ask(Command.DMA_UNMAP, bytes(DmaUnmap(ctypes.sizeof(DmaUnmap), 0, address, size)))

    def set_eventfds(self, irq: Irq, descriptors: Sequence[int]) -> None:
        """Let the first interrupts of a kind signal eventfds."""
        for start in range(0, len(descriptors), DESCRIPTORS_MAX):
            some = descriptors[start:start + DESCRIPTORS_MAX]
            asked = IrqSet(ctypes.sizeof(IrqSet) + 4 * len(some),
                           IrqSetFlag.EVENTFDS | IrqSetFlag.TRIGGER, irq, start, len(some))
            self.ask(Command.SET_IRQS, bytes(asked), some)

    def close(self) -> None:
        """End the connection. The other side then lets go of all memory."""
        self.gone = self.gone or f"the connection to {self.path} was closed"
        self._channel.close()


def _parse(kind: type[_StructureT], data: bytearray) -> _StructureT:
    if len(data) < ctypes.sizeof(kind):
        raise CardError(f"an answer has {len(data)} bytes, fewer than a {kind.__name__}")
    return kind.from_buffer_copy(data)
