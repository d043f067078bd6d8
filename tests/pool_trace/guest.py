"""Runs traces on the real ``page_pool``: a Linux kernel in QEMU, with our module in its initramfs.

Nothing of the host is used but QEMU and a static busybox, and the guest has no disk and no network.
It has one processor, which the module asks for, and two memory nodes, which some traces do.
"""

from __future__ import annotations

import gzip
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from .recorded import Recorded

__all__ = ["GuestError", "ask_kernel"]

_DEVICE = "/dev/pagering_pool_trace"
_INIT = f"""#!/bin/sh
mount -t proc proc /proc
mount -t devtmpfs dev /dev
insmod /module.ko || dmesg | tail -n 20
echo "KERNEL $(uname -r) $(uname -v)"
for trace in /traces/*; do
    echo "TRACE ${{trace##*/}}"
    exec 3<>{_DEVICE}
    cat "$trace" >&3 || dmesg | tail -n 5
    cat <&3
    exec 3>&-
    echo "END"
done
poweroff -f
"""
_APPLETS = ("sh", "mount", "insmod", "uname", "cat", "dmesg", "tail", "poweroff")
_DIRECTORY, _FILE, _LINK = 0o040755, 0o100755, 0o120777
_MEMORY_MB = 384


class GuestError(Exception):
    """The guest cannot run, or did not answer."""


def ask_kernel(kernel: Path, module: Path, traces: Mapping[str, str], *,
               qemu: str = "qemu-system-x86_64", busybox: str = "busybox",
               timeout: float = 300) -> dict[str, Recorded]:
    """Run traces in a guest, and return the answers by the traces' names.

    Parameters
    ----------
    kernel
        A bootable image.
    module
        ``pagering_pool_trace.ko``, built for it.
    traces
        Text by name.
    qemu, busybox
        The programs.
    timeout
        Seconds until the guest is given up.

    Raises
    ------
    GuestError
        If a program is missing, or the guest stops before the last answer.
    """
    tool = shutil.which(busybox)
    if tool is None or shutil.which(qemu) is None:
        raise GuestError(f"{qemu} and a static {busybox} are needed")
    with tempfile.TemporaryDirectory() as folder:
        image, console = Path(folder, "initramfs"), Path(folder, "console")
        image.write_bytes(gzip.compress(_initramfs(Path(tool), module, traces), 1))
        try:
            subprocess.run(_command(qemu, kernel, image, console), check=True, timeout=timeout,
                           stdin=subprocess.DEVNULL, capture_output=True)
        except subprocess.CalledProcessError as error:
            raise GuestError(f"{qemu} failed: {error.stderr.decode().strip()}") from error
        except subprocess.TimeoutExpired:
            raise GuestError(f"the guest did not end within {timeout:.0f} s; it printed last: "
                             f"{_last(console)}") from None
        return _answers(console.read_text("ascii", "replace").splitlines(), traces)


def _command(qemu: str, kernel: Path, image: Path, console: Path) -> list[str]:
    nodes = []
    for node in range(2):
        nodes += ["-object", f"memory-backend-ram,id=memory{node},size={_MEMORY_MB}M",
                  "-numa", f"node,nodeid={node},memdev=memory{node}" + ",cpus=0" * (node == 0)]
    return [qemu, "-accel", "tcg", "-cpu", "max", "-smp", "1", "-m", str(2 * _MEMORY_MB), *nodes,
            "-nodefaults", "-display", "none", "-no-reboot", "-serial", f"file:{console}",
            "-kernel", str(kernel), "-initrd", str(image),
            "-append", "console=ttyS0 quiet panic=-1 oops=panic"]


def _answers(lines: Iterable[str], traces: Mapping[str, str]) -> dict[str, Recorded]:
    kernel, name = "", None
    found: dict[str, list[str]] = {}
    for line in lines:
        word, _, rest = line.partition(" ")
        if word == "KERNEL":
            kernel = rest
        elif word == "TRACE":
            name = rest
            found[name] = []
        elif word == "END":
            name = None
        elif name is not None:
            found[name].append(line)
    missing = sorted(traces.keys() - found.keys())
    if not kernel or name is not None or missing:
        raise GuestError(f"the guest stopped in {name or 'its start'}, before {missing}")
    return {name: Recorded(kernel, tuple(answers)) for name, answers in found.items()}


def _last(console: Path) -> str:
    lines = console.read_text("ascii", "replace").splitlines() if console.exists() else []
    return lines[-1] if lines else "nothing"


def _initramfs(busybox: Path, module: Path, traces: Mapping[str, str]) -> bytes:
    """Pack the guest's files, in the format that the kernel unpacks itself: ``newc`` of cpio."""
    entries = [(name, _DIRECTORY, b"") for name in ("bin", "proc", "dev", "traces")]
    entries += [("bin/busybox", _FILE, busybox.read_bytes()),
                *((f"bin/{applet}", _LINK, b"busybox") for applet in _APPLETS),
                ("init", _FILE, _INIT.encode()), ("module.ko", _FILE, module.read_bytes()),
                *((f"traces/{name}", _FILE, text.encode()) for name, text in traces.items()),
                ("TRAILER!!!", 0, b"")]
    return b"".join(_entry(number, *entry) for number, entry in enumerate(entries, 1))


def _entry(number: int, name: str, mode: int, content: bytes) -> bytes:
    path = name.encode() + b"\0"
    fields = (number, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(path), 0)
    head = b"070701" + b"".join(b"%08X" % value for value in fields) + path
    return _pad(head) + _pad(content)


def _pad(part: bytes) -> bytes:
    return part + bytes(-len(part) % 4)
