"""Programs of another Debian suite, without being root: packages, unpacked into a folder.

The mirrors are those of this machine's own apt, which also checks the archive's signature; its
lists and packages are kept apart from the system's.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

__all__ = ["ArchiveError", "Unpacked", "loaded", "unpack"]

_SUITES = ("trixie", "trixie-backports")
"""Debian 13, and its backports: these have what is newer than it."""
_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_UPDATE_S, _DOWNLOAD_S = 60, 240
_INSTALLED = re.compile(r"^Inst (\S+) ", re.MULTILINE)


class ArchiveError(Exception):
    """What is needed cannot be had on this machine; the text says why."""


class Unpacked:
    """Folders with unpacked packages, by name."""

    def __init__(self, folder: Path, names: Sequence[str]) -> None:
        self.roots = {name: folder / name for name in names}

    def __getitem__(self, name: str) -> Path:
        return self.roots[name]


def loaded(root: Path) -> list[str]:
    """Return how a program in ``root`` is started: by the loader of its own C library."""
    return [str(root / "usr/lib64/ld-linux-x86-64.so.2"), "--library-path",
            str(root / "usr/lib/x86_64-linux-gnu")]


def unpack(cache: Path, wanted: Mapping[str, Sequence[str]]) -> Unpacked:
    """Get packages and all that they depend on; once, then they are kept.

    Parameters
    ----------
    cache
        The folder for it all.
    wanted
        Packages by the name of the folder that they go to.

    Raises
    ------
    ArchiveError
        If there is no apt or no mirror with Debian 13, or it cannot be reached.

    """
    digest = hashlib.sha256(repr((_SUITES, sorted(wanted.items()))).encode()).hexdigest()[:12]
    folder = cache / digest
    with _only_one(cache):
        if not (folder / "ready").exists():
            shutil.rmtree(folder, ignore_errors=True)
            apt = _Apt(folder / "apt")
            for name, packages in wanted.items():
                for package in apt.download(packages):
                    _run(["dpkg-deb", "-x", str(package), str(folder / name)], _DOWNLOAD_S)
            shutil.rmtree(folder / "apt")
            (folder / "ready").touch()
    return Unpacked(folder, tuple(wanted))


@contextlib.contextmanager
def _only_one(cache: Path) -> Iterator[None]:
    """Keep other processes from doing the same at the same time."""
    try:
        cache.mkdir(parents=True, exist_ok=True)
        file = (cache / "lock").open("w")
    except OSError as error:
        raise ArchiveError(f"{cache} cannot be written: {error.strerror}") from error
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


class _Apt:
    """An apt of our own, which thinks that nothing is installed."""

    def __init__(self, folder: Path) -> None:
        if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
            raise ArchiveError("this machine has no apt, where QEMU and a kernel would come from")
        for name in ("lists/partial", "cache/archives/partial"):
            (folder / name).mkdir(parents=True)
        (folder / "status").touch()
        sources = folder / "sources.list"
        self._archives = folder / "cache/archives"
        settings = {
            "Dir::State": folder, "Dir::State::lists": folder / "lists",
            "Dir::State::status": folder / "status", "Dir::Cache": folder / "cache",
            "Dir::Etc::SourceList": sources, "Dir::Etc::SourceParts": "/dev/null",
            "Dir::Etc::Preferences": "/dev/null", "Dir::Etc::PreferencesParts": "/dev/null",
            "APT::Sandbox::User": "", "APT::Default-Release": _SUITES[-1],
            "APT::Install-Recommends": "false", "Acquire::Languages": "none",
            "Acquire::Retries": "2", "Acquire::http::Timeout": "20",
        }
        self._options = [word for name, value in settings.items()
                         for word in ("-o", f"{name}={value}")]
        self._update(sources)

    def download(self, packages: Sequence[str]) -> list[Path]:
        """Return the files of packages and of all that they depend on."""
        install = ["apt-get", *self._options, "install", "-y", "-qq", *packages]
        names = _INSTALLED.findall(_run([*install, "--simulate"], _UPDATE_S))
        _run([*install, "--download-only"], _DOWNLOAD_S)
        return [next(self._archives.glob(f"{name}_*.deb")) for name in names]

    def _update(self, sources: Path) -> None:
        """Write the sources and get the lists, from the first mirror that has the suites."""
        if not _KEYRING.exists():
            raise ArchiveError("this machine has no keys of Debian's archive; install "
                               "debian-archive-keyring")
        failure = "apt of this machine knows no mirror of Debian"
        for mirror in _mirrors():
            sources.write_text("".join(f"deb [signed-by={_KEYRING}] {mirror} {suite} main\n"
                                       for suite in _SUITES), encoding="ascii")
            try:
                _run(["apt-get", *self._options, "update", "-qq", "--error-on=any"], _UPDATE_S)
            except ArchiveError as error:
                failure = str(error)
            else:
                return
        raise ArchiveError(failure)


def _mirrors() -> list[str]:
    """The places that this machine's apt gets Debian itself from, not its security updates."""
    targets = _run(["apt-get", "indextargets", "--format", "$(REPO_URI)"], _UPDATE_S).split()
    return [uri for uri in dict.fromkeys(targets)
            if urlsplit(uri).path.rstrip("/").rpartition("/")[2] == "debian"]


def _run(command: list[str], timeout: float) -> str:
    """Run a program and return what it prints."""
    try:
        done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=timeout,
                              stdin=subprocess.DEVNULL, env={**os.environ, "LC_ALL": "C"})
    except subprocess.TimeoutExpired:
        raise ArchiveError(f"{command[0]} was not done after {timeout:g} s") from None
    except (OSError, subprocess.CalledProcessError) as error:
        lines = str(getattr(error, "stderr", "") or error).strip().splitlines()
        raise ArchiveError(f"{command[0]} failed: {lines[-1] if lines else error}") from error
    return done.stdout
