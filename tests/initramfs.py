"""A guest's first files, in the format that the kernel unpacks itself: ``newc`` of cpio."""

from __future__ import annotations

import stat
from pathlib import Path, PurePosixPath

__all__ = ["Initramfs"]

_DIRECTORY, _PROGRAM, _FILE, _LINK = 0o040755, 0o100755, 0o100644, 0o120777


class Initramfs:
    """Files by name; the folders that they are in are made by themselves."""

    def __init__(self) -> None:
        self._entries: dict[str, tuple[int, bytes]] = {}

    def folder(self, name: str) -> None:
        """Add a folder, and those that it is in."""
        for place in (PurePosixPath(name), *PurePosixPath(name).parents):
            if str(place) != ".":
                self._entries.setdefault(str(place), (_DIRECTORY, b""))

    def file(self, name: str, content: bytes | str, *, program: bool = False) -> None:
        """Add a file, or replace one."""
        self._add(name, _PROGRAM if program else _FILE,
                  content.encode() if isinstance(content, str) else content)

    def link(self, name: str, target: str) -> None:
        """Add a symbolic link."""
        self._add(name, _LINK, target.encode())

    def tree(self, root: Path, name: str = ".", without: tuple[str, ...] = ()) -> None:
        """Add what is in a folder, as ``name``, but not the ``without`` of it.

        Links stay links. What is left out are files and folders, by their paths in ``root``, or, if
        it has no slash, by name wherever it is.
        """
        for place in sorted(root.iterdir()):
            self._place(place, root, name, without)

    def _place(self, place: Path, root: Path, name: str, without: tuple[str, ...]) -> None:
        relative = place.relative_to(root).as_posix()
        if relative in without or place.name in without:
            return
        target = str(PurePosixPath(name, relative))
        if place.is_symlink():
            self.link(target, str(place.readlink()))
        elif place.is_dir():
            self.folder(target)
            for inner in sorted(place.iterdir()):
                self._place(inner, root, name, without)
        elif place.is_file():
            runs = place.stat().st_mode & stat.S_IXUSR
            self.file(target, place.read_bytes(), program=bool(runs))

    def _add(self, name: str, mode: int, content: bytes) -> None:
        self.folder(str(PurePosixPath(name).parent))
        self._entries[str(PurePosixPath(name))] = mode, content

    def pack(self) -> bytes:
        """Return the archive."""
        entries = [(name, *self._entries[name]) for name in sorted(self._entries)]
        return b"".join(_entry(number, *entry) for number, entry in
                        enumerate([*entries, ("TRAILER!!!", 0, b"")], 1))


def _entry(number: int, name: str, mode: int, content: bytes) -> bytes:
    path = name.encode() + b"\0"
    fields = (number, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(path), 0)
    head = b"070701" + b"".join(b"%08X" % value for value in fields) + path
    return _pad(head) + _pad(content)


def _pad(part: bytes) -> bytes:
    return part + bytes(-len(part) % 4)
