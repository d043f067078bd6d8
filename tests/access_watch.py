"""Watches a process access memory, one instruction at a time: how a device would see it.

The watched code runs in a child process whose window has no access rights. Each access faults, and
the parent, as its debugger, opens the window, lets that one instruction run and closes it again. It
runs twice, over memory filled with two opposite patterns: a byte that it wrote differs from one of
them, whatever was written. x86-64 Linux only.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import platform
import re
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Access", "unavailable", "watch"]

_TRACEME, _CONT, _SINGLESTEP, _GETREGS, _SETREGS, _GETSIGINFO = 0, 7, 9, 12, 13, 0x4202
_SYS_MPROTECT, _PROT_ALL = 10, mmap.PROT_READ | mmap.PROT_WRITE
_PATTERNS = (b"\x5a", b"\xa5")
_REGISTERS = ("r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi orig_rax rip cs eflags "
              "rsp ss fs_base gs_base ds es fs gs").split()


class _Registers(ctypes.Structure):
    _fields_ = [(name, ctypes.c_ulonglong) for name in _REGISTERS]


@dataclass(frozen=True)
class Access:
    """One access to the window."""

    offset: int
    stored: bytes
    """What was written; empty for a read, whose width does not show."""


def unavailable() -> str:
    """Return why accesses cannot be watched here; empty if they can."""
    if sys.platform != "linux" or platform.machine() != "x86_64":
        return "watching accesses needs Linux on x86-64"
    try:
        watch(4096, lambda _: None)
    except OSError as error:
        return f"this machine lets nobody trace: {error}"
    return ""


def watch(size: int, work: Callable[[mmap.mmap], object]) -> list[Access]:
    """Run ``work`` with a window of so many bytes, in a child; return its accesses in order.

    Raises
    ------
    OSError
        If the child cannot be traced.
    AssertionError
        If ``work`` failed.

    """
    descriptor = os.memfd_create("window")
    os.ftruncate(descriptor, size)
    with mmap.mmap(descriptor, size) as seen, mmap.mmap(descriptor, size) as window:
        child = os.fork()
        if child == 0:
            _be_watched(window, work)
        try:
            # The child is a copy of this process: things are at the same addresses.
            return _Tracer(child, _address(window), seen).run()
        finally:
            os.close(descriptor)


def _be_watched(window: mmap.mmap, work: Callable[[mmap.mmap], object]) -> None:
    """Run the child to its end."""
    status = 1
    try:
        _check(_libc().ptrace(_TRACEME, 0, None, None))
        _check(_libc().mprotect(ctypes.c_void_p(_address(window)), ctypes.c_size_t(len(window)), 0))
        os.kill(os.getpid(), signal.SIGSTOP)
        work(window)
        status = 0
    finally:
        os._exit(status)


class _Tracer:
    """The debugger of one child."""

    def __init__(self, child: int, base: int, seen: mmap.mmap) -> None:
        self._child, self._base, self._seen = child, base, seen
        self._libc = _libc()
        self._syscall = _find_syscall()
        self._found: list[Access] = []

    def run(self) -> list[Access]:
        _, status = os.waitpid(self._child, 0)
        if not os.WIFSTOPPED(status):
            raise PermissionError("the child could not ask for it")
        self._ptrace(_CONT)
        while True:
            _, status = os.waitpid(self._child, 0)
            if os.WIFEXITED(status):
                assert os.WEXITSTATUS(status) == 0, "the watched code failed; see stderr"
                return self._found
            assert os.WIFSTOPPED(status), f"the child died of signal {os.WTERMSIG(status)}"
            if os.WSTOPSIG(status) == signal.SIGSEGV and 0 <= self._fault() < len(self._seen):
                self._access(self._fault())
                self._ptrace(_CONT)
            else:
                self._ptrace(_CONT, os.WSTOPSIG(status))

    def _fault(self) -> int:
        """Return the offset in the window that was accessed."""
        info = (ctypes.c_byte * 128)()
        self._ptrace(_GETSIGINFO, info)
        return int.from_bytes(bytes(info[at] & 0xFF for at in range(16, 24)), "little") - self._base

    def _access(self, offset: int) -> None:
        """Let one instruction run, and note what it did."""
        before = self._registers()
        self._protect(before, _PROT_ALL)
        end = min(len(self._seen), offset + 128)
        start = max(0, offset - 128)
        saved = self._seen[start:end]
        changed: set[int] = set()
        for pattern in _PATTERNS:
            self._seen[start:end] = pattern * (end - start)
            self._ptrace(_SETREGS, before)
            self._step()
            now = self._seen[start:end]
            changed |= {at for at, byte in enumerate(now) if byte != pattern[0]}
        after = self._registers()
        self._seen[start:end] = bytes(
            now[at] if at in changed else byte for at, byte in enumerate(saved))
        self._protect(after, 0)
        first = start + min(changed) if changed else offset
        self._found.append(Access(first, bytes(now[at] for at in sorted(changed))))

    def _protect(self, registers: _Registers, rights: int) -> None:
        """Let the child change the rights of its window, then put its registers back."""
        call = _Registers.from_buffer_copy(registers)
        call.rax, call.rdi, call.rsi, call.rdx = (
            _SYS_MPROTECT, self._base, len(self._seen), rights)
        call.rip, call.orig_rax = self._syscall, (1 << 64) - 1
        self._ptrace(_SETREGS, call)
        self._step()
        assert self._registers().rax == 0, "the window's rights cannot be changed"
        self._ptrace(_SETREGS, registers)

    def _step(self) -> None:
        self._ptrace(_SINGLESTEP)
        _, status = os.waitpid(self._child, 0)
        assert os.WIFSTOPPED(status)
        assert os.WSTOPSIG(status) == signal.SIGTRAP

    def _registers(self) -> _Registers:
        found = _Registers()
        self._ptrace(_GETREGS, found)
        return found

    def _ptrace(self, request: int, data: ctypes.Structure | ctypes.Array[ctypes.c_byte] | int = 0
                ) -> None:
        pointer = data if isinstance(data, int) else ctypes.addressof(data)
        _check(self._libc.ptrace(request, self._child, None, ctypes.c_void_p(pointer)))


def _libc() -> ctypes.CDLL:
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.restype = ctypes.c_long
    return libc


def _check(result: int) -> None:
    if result == -1:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _address(window: mmap.mmap) -> int:
    return ctypes.addressof(ctypes.c_char.from_buffer(window))


def _find_syscall() -> int:
    """Return where in the kernel's own page of code there is a system call."""
    for line in Path("/proc/self/maps").read_text(encoding="ascii").splitlines():
        if line.endswith("[vdso]"):
            start, end = (int(word, 16) for word in re.split("[- ]", line)[:2])
            return start + ctypes.string_at(start, end - start).index(b"\x0f\x05")
    raise OSError("there is no vdso")
