"""Runs traces on the real ``page_pool``: a Linux kernel in QEMU, with our module in its initramfs.

Nothing of the host is used but QEMU and a static busybox, and the guest has no disk and no network.
It has one processor, which the module asks for, and two memory nodes, which some traces do.
"""

from __future__ import annotations

import gzip
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from initramfs import Initramfs
from qemu_guest import GuestError, run_guest

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
_MEMORY_MB = 384


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
        run_guest(_command(qemu, kernel, image, console), console, timeout)
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


def _initramfs(busybox: Path, module: Path, traces: Mapping[str, str]) -> bytes:
    """Pack the guest's files."""
    files = Initramfs()
    for name in ("proc", "dev", "traces"):
        files.folder(name)
    files.file("bin/busybox", busybox.read_bytes(), program=True)
    for applet in _APPLETS:
        files.link(f"bin/{applet}", "busybox")
    files.file("init", _INIT, program=True)
    files.file("module.ko", module.read_bytes())
    for name, text in traces.items():
        files.file(f"traces/{name}", text)
    return files.pack()
