"""Where the bytes of a buffer are, and the promise that they stay there.

``ctypes`` tells the address only of what may be written to; the buffer protocol of Python's C
interface tells it of everything.
"""

from __future__ import annotations

import ctypes
import mmap

__all__ = ["PinnedBuffer"]

_WRITABLE = 1
"""``PyBUF_WRITABLE``; without it, any buffer of plain bytes is as good."""


class _Buffer(ctypes.Structure):
    """``Py_buffer``, up to where its size is known to end."""

    _fields_ = (
        ("buf", ctypes.c_void_p), ("obj", ctypes.py_object), ("len", ctypes.c_ssize_t),
        ("itemsize", ctypes.c_ssize_t), ("readonly", ctypes.c_int), ("ndim", ctypes.c_int),
        ("format", ctypes.c_char_p), ("shape", ctypes.c_void_p), ("strides", ctypes.c_void_p),
        ("suboffsets", ctypes.c_void_p), ("internal", ctypes.c_void_p),
    )


_get = ctypes.pythonapi.PyObject_GetBuffer
_get.argtypes = (ctypes.py_object, ctypes.POINTER(_Buffer), ctypes.c_int)
_release = ctypes.pythonapi.PyBuffer_Release
_release.argtypes = (ctypes.POINTER(_Buffer),)
_release.restype = None


class PinnedBuffer:
    """A buffer that is neither moved nor freed until it is released.

    Parameters
    ----------
    memory
        What lends its bytes.
    writable
        Whether they will be written to.

    Raises
    ------
    BufferError
        If they may not be.

    """

    def __init__(self, memory: bytes | bytearray | memoryview | mmap.mmap,
                 writable: bool = True) -> None:
        self._view = _Buffer()
        _get(memory, ctypes.byref(self._view), _WRITABLE if writable else 0)
        self.address: int = self._view.buf or 0
        """Of the first byte, in this process."""
        self.size: int = self._view.len

    def release(self) -> None:
        """Let go of it. Again does nothing."""
        _release(ctypes.byref(self._view))
