"""What brings a guest about, without one: its files, its packages, and how it is watched."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from scapy.layers.inet import IP
from scapy.layers.l2 import Ether

from guest import archive, machine
from guest.inside.frames import number_of, numbered
from initramfs import Initramfs
from qemu_guest import GuestError, run_guest


def test_the_archive_is_what_cpio_reads(tmp_path: Path) -> None:
    """The program that knows the format best unpacks it."""
    tool = shutil.which("cpio")
    if tool is None:
        pytest.skip("no cpio on this machine")
    source = tmp_path / "source"
    (source / "deep/folder").mkdir(parents=True)
    (source / "deep/left_out").mkdir()
    (source / "deep/folder/left_out").write_text("by its name, wherever it is")
    (source / "deep/folder/odd").write_bytes(b"odd")
    (source / "deep/run").write_bytes(b"#!/bin/sh\n")
    (source / "deep/run").chmod(0o755)
    (source / "deep/link").symlink_to("folder/odd")
    files = Initramfs()
    files.tree(source, "usr", without=("left_out",))
    files.file("etc/one/two", "first")
    files.file("etc/one/two", "second")
    files.folder("empty")
    target = tmp_path / "target"
    target.mkdir()
    subprocess.run([tool, "-idm", "--no-absolute-filenames"], input=files.pack(), cwd=target,
                   check=True, capture_output=True)
    found = {place.relative_to(target).as_posix() for place in target.rglob("*")}
    assert found == {"usr", "usr/deep", "usr/deep/folder", "usr/deep/folder/odd", "usr/deep/run",
                     "usr/deep/link", "etc", "etc/one", "etc/one/two", "empty"}
    assert (target / "usr/deep/folder/odd").read_bytes() == b"odd"
    assert (target / "usr/deep/link").readlink() == Path("folder/odd")
    assert (target / "usr/deep/run").stat().st_mode & 0o777 == 0o755
    assert (target / "usr/deep/folder/odd").stat().st_mode & 0o777 == 0o644
    assert (target / "etc/one/two").read_text() == "second"


def test_a_frame_is_known_by_its_number() -> None:
    """Another stack reads the number where we do, and finds the checksums right."""
    for number in (*range(40), 65535, 65536, (1 << 24) - 1):
        frame = numbered(number)
        assert number_of(frame) == number
        packet = Ether(frame)
        assert packet[IP].src == "10." + ".".join(str(byte) for byte in number.to_bytes(3, "big"))
        expected = Ether(frame)
        del expected[IP].chksum
        del expected[IP].payload.chksum
        assert bytes(expected) == frame
    assert len({numbered(number) for number in range(5000)}) == 5000


def test_a_guest_is_watched(tmp_path: Path) -> None:
    console = tmp_path / "console"
    run_guest([sys.executable, "-c", "pass"], console, 20)
    with pytest.raises(GuestError, match="QEMU failed with status 3: no such machine"):
        run_guest([sys.executable, "-c", "import sys; sys.stderr.write('no such machine\\n'); "
                   "sys.exit(3)"], console, 20)
    console.write_text("one\nKernel panic\n")
    with pytest.raises(GuestError, match="did not end within 0 s; it printed last: Kernel panic"):
        run_guest([sys.executable, "-c", "import time; time.sleep(60)"], console, 0.3)
    with pytest.raises(GuestError, match="no-such-qemu is not there"):
        run_guest(["no-such-qemu"], console, 1)


def test_a_machine_without_debian(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each thing that is missing is a sentence, the reason why the guest is left out."""
    wanted = {"host": machine.PACKAGES}
    monkeypatch.setattr(archive.shutil, "which", lambda name: None)
    with pytest.raises(archive.ArchiveError, match="this machine has no apt, where QEMU and a"):
        archive.unpack(tmp_path, wanted)
    monkeypatch.setattr(archive.shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(archive, "_KEYRING", tmp_path / "keys")
    with pytest.raises(archive.ArchiveError, match="has no keys of Debian's archive; install"):
        archive.unpack(tmp_path, wanted)
    (tmp_path / "keys").touch()
    monkeypatch.setattr(archive, "_run", lambda command, timeout: "http://mirror/ubuntu/\n")
    with pytest.raises(archive.ArchiveError, match="apt of this machine knows no mirror of Debian"):
        archive.unpack(tmp_path, wanted)

    def unreachable(command: list[str], timeout: float) -> str:
        if "indextargets" in command:
            return "http://mirror/debian/ http://mirror/debian-security/ http://mirror/debian/"
        raise archive.ArchiveError(f"{command[0]} failed: E: no route to the mirror")

    monkeypatch.setattr(archive, "_run", unreachable)
    with pytest.raises(archive.ArchiveError, match="apt-get failed: E: no route to the mirror"):
        archive.unpack(tmp_path, wanted)


def test_cards_come_behind_the_iommu(tmp_path: Path) -> None:
    """QEMU puts what is named later behind what is named earlier."""
    command = machine.Machine(tmp_path, tmp_path, tmp_path, "tcg").command(
        [tmp_path / "a", tmp_path / "b"], tmp_path / "c", tmp_path / "r")
    at = [number for number, word in enumerate(command) if "vfio-user-pci" in word]
    assert len(at) == 2
    assert command.index("intel-iommu,intremap=on,caching-mode=on") < at[0]
