"""One client of a virtual card: what it asks, and what it is answered.

Nothing that a client sends may hurt the card or another's memory. A message that makes no sense is
answered with an error and changes nothing; what cannot be answered is ignored.
"""

from __future__ import annotations

import ctypes
import errno
import json
from collections import Counter
from collections.abc import Callable, Mapping
from typing import TypeVar

from pagering.errors import CardError
from pagering.vfio_user_channel import Channel, Message
from pagering.vfio_user_messages import (
    DATA_BYTES_MAX,
    DESCRIPTORS_MAX,
    IRQS,
    MAJOR,
    MINOR,
    REGIONS,
    Command,
    DeviceFlag,
    DeviceInfo,
    DmaMap,
    DmaUnmap,
    Irq,
    IrqFlag,
    IrqInfo,
    IrqSet,
    IrqSetFlag,
    MessageFlag,
    RegionAccess,
    RegionFlag,
    RegionInfo,
    UnmapFlag,
    Version,
    WriteCount,
    WriteEntry,
)

from .function import PciFunction

__all__ = ["Session"]

_StructureT = TypeVar("_StructureT", bound=ctypes.Structure)
_ACCESS_BYTES = ctypes.sizeof(RegionAccess)
_COUNT_BYTES, _ENTRY_BYTES = ctypes.sizeof(WriteCount), ctypes.sizeof(WriteEntry)
_JSON_BYTES_MAX = 4096
_PAGE_SIZES = 4096
_TOLD_MAX = 20


class Session:
    """A client and the function that it drives.

    Parameters
    ----------
    channel
        The connection.
    function
        What it drives.
    log
        Told, in a sentence, of what was refused.

    Attributes
    ----------
    commands : Counter
        Messages by command.
    refused : int
        Of those, how many were answered with an error.

    """

    def __init__(self, channel: Channel, function: PciFunction,
                 log: Callable[[str], object]) -> None:
        self.channel = channel
        self.function = function
        self.commands: Counter[int] = Counter()
        self.refused = 0
        self._told = log
        self._agreed = False
        self._handlers: Mapping[int, Callable[[Message], bytes]] = {
            Command.VERSION: self._version, Command.DMA_MAP: self._dma_map,
            Command.DMA_UNMAP: self._dma_unmap, Command.GET_INFO: self._device_info,
            Command.GET_REGION_INFO: self._region_info, Command.GET_IRQ_INFO: self._irq_info,
            Command.SET_IRQS: self._set_irqs, Command.REGION_READ: self._region_read,
            Command.REGION_WRITE: self._region_write, Command.DEVICE_RESET: self._device_reset,
            Command.REGION_WRITE_MULTI: self._region_write_multi,
        }

    def handle(self, message: Message) -> None:
        """Do what a message asks for, and answer it unless it is posted.

        Raises
        ------
        ChannelClosed
            If the client is gone.

        """
        header = message.header
        self.commands[header.command] += 1
        if message.is_reply:
            message.close()  # we ask nothing
            return
        error, body = 0, b""
        try:
            body = self._answer(message)
        except CardError as problem:
            error = errno.EIO
            self._refuse(str(problem))
        except OSError as problem:
            error = problem.errno or errno.EINVAL
            self._refuse(f"{_name(header.command)} refused: {problem.strerror}")
        finally:
            message.close()
        if not header.flags & MessageFlag.NO_REPLY:
            flags = MessageFlag.REPLY | (MessageFlag.ERROR if error else 0)
            self.channel.send(header.id, header.command, body, flags=flags, error=error)

    def _answer(self, message: Message) -> bytes:
        command = message.header.command
        handler = self._handlers.get(command)
        if handler is None:
            raise OSError(errno.ENOTSUP, "not a command that this card knows")
        if not self._agreed and command != Command.VERSION:
            raise OSError(errno.EPROTO, "a version must be agreed on first")
        return handler(message)

    def _refuse(self, why: str) -> None:
        self.refused += 1
        if self.refused <= _TOLD_MAX:
            self._told(why)
        if self.refused == _TOLD_MAX:
            self._told("what else is refused to this client is not told")

    # Commands

    def _version(self, message: Message) -> bytes:
        if self._agreed:
            raise OSError(errno.EPROTO, "a version was agreed on already")
        version = _parse(Version, message)
        if version.major != MAJOR:
            raise OSError(errno.EPROTONOSUPPORT, f"version {version.major} of the protocol")
        _check_offer(bytes(message.body[ctypes.sizeof(Version):]))
        self._agreed = True
        offer = {"capabilities": {"max_msg_fds": DESCRIPTORS_MAX, "pgsizes": _PAGE_SIZES,
                                  "max_data_xfer_size": DATA_BYTES_MAX, "write_multiple": True}}
        return bytes(Version(MAJOR, MINOR)) + json.dumps(offer).encode() + b"\0"

    def _device_info(self, message: Message) -> bytes:
        _parse(DeviceInfo, message)
        return bytes(DeviceInfo(ctypes.sizeof(DeviceInfo), DeviceFlag.RESET | DeviceFlag.PCI,
                                REGIONS, IRQS))

    def _region_info(self, message: Message) -> bytes:
        index = _parse(RegionInfo, message).index
        if index >= REGIONS:
            raise OSError(errno.EINVAL, f"there is no region {index}")
        size = self.function.size(index)
        flags = RegionFlag.READ | RegionFlag.WRITE if size else 0
        return bytes(RegionInfo(ctypes.sizeof(RegionInfo), flags, index, 0, size, 0))

    def _irq_info(self, message: Message) -> bytes:
        index = _parse(IrqInfo, message).index
        if index >= IRQS:
            raise OSError(errno.EINVAL, f"there are no interrupts of kind {index}")
        count = self._irq_count(index)
        return bytes(IrqInfo(ctypes.sizeof(IrqInfo), IrqFlag.EVENTFD if count else 0, index, count))

    def _irq_count(self, index: int) -> int:
        return self.function.vectors.count if index == Irq.MSIX else 0

    def _set_irqs(self, message: Message) -> bytes:
        asked = _parse(IrqSet, message)
        count, first = asked.count, asked.start
        if first + count > self._irq_count(asked.index):
            raise OSError(errno.EINVAL, f"there are no interrupts {first} to {first + count - 1} "
                                        f"of kind {asked.index}")
        vectors, flags = self.function.vectors, asked.flags
        if flags == IrqSetFlag.TRIGGER | IrqSetFlag.NO_DATA:
            if count == 0 and asked.index == Irq.MSIX:
                vectors.disconnect()
            for vector in range(first, first + count):
                vectors.signal(vector)
        elif flags == IrqSetFlag.TRIGGER | IrqSetFlag.BOOLS:
            wanted = message.body[ctypes.sizeof(IrqSet):]
            for vector in [first + at for at, on in enumerate(wanted[:count]) if on]:
                vectors.signal(vector)
        elif flags == IrqSetFlag.TRIGGER | IrqSetFlag.EVENTFDS:
            self._connect(message, first, count)
        else:
            raise OSError(errno.EINVAL, f"interrupts with flags {flags:#x}")
        return b""

    def _connect(self, message: Message, first: int, count: int) -> None:
        if not message.descriptors:
            self.function.vectors.disconnect(first, count)
        elif len(message.descriptors) == count:
            self.function.vectors.connect(first, message.descriptors)
            message.take_descriptors()
        else:
            raise OSError(errno.EINVAL, f"{len(message.descriptors)} eventfds for {count} "
                                        f"interrupts")

    def _region_read(self, message: Message) -> bytes:
        asked = _parse(RegionAccess, message)
        data = self.function.read(asked.region, asked.offset, asked.count)
        return bytes(asked) + data

    def _region_write(self, message: Message) -> bytes:
        asked = _parse(RegionAccess, message)
        with memoryview(message.body) as body:
            data = body[_ACCESS_BYTES:]
            if len(data) != asked.count:
                raise OSError(errno.EINVAL, f"{len(data)} bytes for a write of {asked.count}")
            if message.header.flags & MessageFlag.NO_REPLY:
                self.function.post(asked.region, asked.offset, data)
            else:
                self.function.write(asked.region, asked.offset, data)
        return bytes(asked)

    def _region_write_multi(self, message: Message) -> bytes:
        count = _parse(WriteCount, message).count
        if len(message.body) != _COUNT_BYTES + count * _ENTRY_BYTES:
            raise OSError(errno.EINVAL, f"{len(message.body)} bytes for {count} writes")
        for at in range(count):
            entry = WriteEntry.from_buffer_copy(message.body, _COUNT_BYTES + at * _ENTRY_BYTES)
            # What claims to have more bytes than there are has none, and is refused.
            data = bytes(entry.data) if entry.count <= ctypes.sizeof(entry.data) else b""
            self.function.post(entry.region, entry.offset, data[:entry.count])
        return bytes(WriteCount(count))

    def _dma_map(self, message: Message) -> bytes:
        asked = _parse(DmaMap, message)
        if len(message.descriptors) > 1:
            raise OSError(errno.EINVAL, "memory of several descriptors")
        descriptor = message.descriptors[0] if message.descriptors else None
        dma = self.function.dma
        if descriptor is None and not dma.unreachable:
            self._told(f"memory at {asked.address:#x} comes without a descriptor; the card reaches "
                       f"none of that kind")
        dma.map(asked.address, asked.size, descriptor, asked.offset, asked.flags)
        return b""

    def _dma_unmap(self, message: Message) -> bytes:
        asked = _parse(DmaUnmap, message)
        if asked.flags & ~UnmapFlag.ALL:
            raise OSError(errno.ENOTSUP, f"an unmapping with flags {asked.flags:#x}")
        if asked.flags & UnmapFlag.ALL:
            if asked.address or asked.size:
                raise OSError(errno.EINVAL, "an unmapping of all that names a range")
            asked.size = self.function.dma.clear()
        else:
            asked.size = self.function.dma.unmap(asked.address, asked.size)
        return bytes(asked)

    def _device_reset(self, message: Message) -> bytes:
        self.function.reset()
        return b""


def _parse(kind: type[_StructureT], message: Message) -> _StructureT:
    if len(message.body) < ctypes.sizeof(kind):
        raise OSError(errno.EINVAL, f"{len(message.body)} bytes are no {kind.__name__}")
    return kind.from_buffer_copy(message.body)


def _check_offer(text: bytes) -> None:
    """Look whether a client's offer is one; what we do fits any."""
    if len(text) > _JSON_BYTES_MAX:
        raise OSError(errno.EINVAL, "an offer that is too long")
    try:
        offer = json.loads(text.rstrip(b"\0") or b"{}")
    except (ValueError, RecursionError) as error:
        raise OSError(errno.EINVAL, "an offer that is no JSON") from error
    if not isinstance(offer, dict):
        raise OSError(errno.EINVAL, "an offer that is no object")


def _name(command: int) -> str:
    return next((known.name for known in Command if known == command), f"command {command}")
