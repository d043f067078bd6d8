"""The guest's files: Python from Debian's packages, the kernel's VFIO, our driver, what to run."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from initramfs import Initramfs

from .archive import loaded

__all__ = ["PACKAGES", "kernel_of", "make_image", "make_probe"]

PACKAGES = ("linux-image-cloud-amd64", "tiny-initramfs", "busybox-static", "pciutils", "python3",
            "python3-rich", "python3-typer")
"""``tiny-initramfs`` is what a kernel wants that pulls in the least; it is not used."""

_WITHOUT = ("doc", "man", "locale", "i18n", "zoneinfo", "perl5", "gconv", "modules", "dpkg",
            "idlelib", "lib2to3", "debconf", "pygments", "tiny-initramfs")
_MODULES = ("kernel/drivers/vfio", "kernel/virt/lib")
_MERGED = ("bin", "lib", "lib64", "sbin")
_PAGERING = """#!/bin/sh
exec python3 -m pagering.cli "$@"
"""
_INIT = """#!/usr/bin/busybox sh
export PATH=/usr/bin:/usr/sbin:/applets HOME=/ TERM=dumb COLUMNS=200 PYTHONDONTWRITEBYTECODE=1
/usr/bin/busybox --install -s /applets
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t tmpfs run /run
ip link set lo up
python3 -m inside > /dev/ttyS1 2> /dev/ttyS0 || echo "inside ended with status $?" > /dev/ttyS0
dmesg > /dev/ttyS0
poweroff -f
"""


def kernel_of(root: Path) -> Path:
    """Return the bootable image of the kernel whose packages are there."""
    return next((root / "usr/lib/modules").glob("*/vmlinuz"))


def make_image(root: Path, driver: Path, inside: Path, extra: Mapping[str, bytes]) -> bytes:
    """Return an initramfs that runs ``inside`` and turns the machine off.

    Parameters
    ----------
    root
        Where :data:`PACKAGES` are unpacked.
    driver, inside
        The folders of these two Python packages.
    extra
        More files, by name.

    """
    _compile(root, root / "usr/lib/python3")
    _compile(root, next((root / "usr/lib").glob("python3.*")))
    files = Initramfs()
    for name in ("proc", "sys", "dev", "run", "tmp", "applets"):
        files.folder(name)
    files.tree(root, without=_WITHOUT)
    for name in _MERGED:
        if not (root / name).exists():
            files.link(name, f"usr/{name}")
    _add_modules(files, root)
    with tempfile.TemporaryDirectory() as folder:
        for source, target in ((driver, "pagering"), (inside, "inside")):
            shutil.copytree(source, Path(folder, target),
                            ignore=shutil.ignore_patterns("__pycache__"))
        _compile(root, Path(folder))
        files.tree(Path(folder), "usr/lib/python3/dist-packages")
    files.file("usr/bin/pagering", _PAGERING, program=True)
    files.link("usr/bin/sh", "busybox")
    for name, content in extra.items():
        files.file(name, content)
    files.file("init", _INIT, program=True)
    return files.pack()


def make_probe(root: Path) -> bytes:
    """Return an initramfs that says one word on the second serial port and turns off."""
    files = Initramfs()
    files.folder("dev")
    files.file("busybox", (root / "usr/bin/busybox").read_bytes(), program=True)
    files.file("init", "#!/busybox sh\n/busybox mount -t devtmpfs dev /dev\n"
                       "/busybox echo up > /dev/ttyS1\n/busybox poweroff -f\n", program=True)
    return files.pack()


def _compile(root: Path, folder: Path) -> None:
    """Compile sources, once, by the guest's own Python: a machine that is emulated is slow at it.

    Files of the guest have no dates, so what is compiled does not depend on them.
    """
    done = folder / "__pycache__/compiled"
    if done.exists():
        return
    python = next((root / "usr/bin").glob("python3.??"))
    subprocess.run([*loaded(root), str(python), "-m", "compileall", "-q", "-x",
                    "lexers|/test/", "--invalidation-mode", "unchecked-hash", str(folder)],
                   check=True, capture_output=True, env={"PYTHONHOME": str(root / "usr")})
    done.parent.mkdir(exist_ok=True)
    done.touch()


def _add_modules(files: Initramfs, root: Path) -> None:
    """Add the modules, and where ``modprobe`` finds what they need."""
    source = next((root / "usr/lib/modules").iterdir())
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder, "lib/modules", source.name)
        for name in _MODULES:
            shutil.copytree(source / name, target / name)
        for name in ("modules.order", "modules.builtin"):
            shutil.copy(source / name, target)
        subprocess.run([*loaded(root), str(root / "usr/sbin/depmod"), "-b", folder, source.name],
                       check=True, capture_output=True)
        files.tree(target, f"usr/lib/modules/{source.name}")
