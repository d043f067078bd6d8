"""The functions of the compiled library, with their types: the other side of ``interface.cpp``."""

from __future__ import annotations

import ctypes
import enum
from pathlib import Path
from typing import Any

__all__ = ["Counters", "Options", "Status", "load"]


class Status(enum.IntEnum):
    """What a function answers."""

    DONE = 0
    BROKEN = 1
    REFUSED = 2
    NO_ANSWER = 3
    SLAVE_ERROR = 4
    DECODE_ERROR = 5


class _Words(ctypes.Structure):
    """64-bit words by name."""

    def __repr__(self) -> str:
        return ", ".join(f"{name} {getattr(self, name)}" for name, *_ in self._fields_)


class Options(_Words):
    """As in ``card.h``."""

    lines: int
    latency: int
    frames: int
    settle: int
    longest: int
    _fields_ = tuple((name, ctypes.c_uint64) for name in __annotations__)


class Counters(_Words):
    """What happened on the card's ports since it was opened; as in ``counters.h``."""

    cycles: int
    frames: int
    wire_beats: int
    write_bursts: int
    write_beats: int
    write_bytes: int
    read_bursts: int
    read_beats: int
    read_bytes: int
    blocked: int
    refused: int
    last_blocked: int
    interrupts: int
    _fields_ = tuple((name, ctypes.c_uint64) for name in __annotations__)


_HANDLE = ctypes.c_void_p
_WORD = ctypes.c_uint64
_FUNCTIONS: dict[str, tuple[Any, ...]] = {
    "close": (None, _HANDLE),
    "free": (None, _HANDLE),
    "error": (ctypes.c_char_p, _HANDLE),
    "reset": (ctypes.c_int, _HANDLE),
    "run": (ctypes.c_int, _HANDLE, _WORD, ctypes.POINTER(_WORD)),
    "ask": (None, _HANDLE, ctypes.c_int),
    "quiet": (ctypes.c_int, _HANDLE),
    "read": (ctypes.c_int, _HANDLE, ctypes.c_uint32, ctypes.POINTER(ctypes.c_uint32)),
    "write": (ctypes.c_int, _HANDLE, ctypes.c_uint32, ctypes.POINTER(ctypes.c_uint32),
              ctypes.c_size_t, ctypes.POINTER(ctypes.c_size_t)),
    "map": (ctypes.c_int, _HANDLE, _WORD, ctypes.c_void_p, _WORD, ctypes.c_int),
    "unmap": (ctypes.c_int, _HANDLE, _WORD),
    "bus_master": (ctypes.c_int, _HANDLE, ctypes.c_int),
    "connect": (ctypes.c_int, _HANDLE, ctypes.c_size_t, ctypes.c_int),
    "edges": (ctypes.c_int, _HANDLE, ctypes.c_size_t, ctypes.POINTER(_WORD)),
    "send": (ctypes.c_int, _HANDLE, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_int),
    "waiting": (ctypes.c_int, _HANDLE, ctypes.POINTER(_WORD)),
    "gap": (ctypes.c_int, _HANDLE, ctypes.c_uint),
    "counters": (ctypes.c_int, _HANDLE, ctypes.POINTER(Counters)),
}
"""By name: what a function returns, and takes."""


def load(path: Path) -> ctypes.CDLL:
    """Load the library, without joining its names with those of another one."""
    library = ctypes.CDLL(str(path))
    library.card_open.restype = _HANDLE
    library.card_open.argtypes = (ctypes.POINTER(Options),)
    for name, (result, *arguments) in _FUNCTIONS.items():
        function = library[f"card_{name}"]
        function.restype, function.argtypes = result, arguments
        setattr(library, f"card_{name}", function)
    return library
