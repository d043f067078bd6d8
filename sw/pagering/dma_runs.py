"""Memory for a card that is behind an IOMMU, or in another process: runs of pages with addresses.

Each run is mapped for the card by itself, so that it can be unmapped as soon as it is freed: from
then on the card cannot reach it, whatever it does. A run of 2 MiB or more is of huge pages, of
which the IOMMU needs one translation for each, as long as the system has some.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import warnings
from collections.abc import Callable

from pagering.address_space import AddressSpace
from pagering.errors import CardError
from pagering.mapped_providers import HUGE_PAGE

__all__ = ["DmaRun", "DmaRuns"]

_PAGE = mmap.PAGESIZE


class DmaRun:
    """A run of zeroed memory; see :class:`~pagering.transport.DmaMemory`.

    Attributes
    ----------
    address
        Of the first byte, for the card.
    fd
        The file that holds the memory; open while it is mapped for the card, then -1.
    size
        Bytes, whole pages.

    """

    def __init__(self, fd: int, size: int, length: int) -> None:
        self.address = 0
        self.fd = fd
        self.size = size
        self._memory = mmap.mmap(fd, size)
        self._whole = memoryview(self._memory)
        self._view = self._whole[:length]
        self._release: Callable[[DmaRun], None] | None = None

    @property
    def view(self) -> memoryview:
        """The bytes that were asked for.

        Raises
        ------
        CardError
            If the memory was freed.

        """
        if self._release is None:
            raise CardError(f"memory at {self.address:#x} was freed")
        return self._view

    @property
    def pages(self) -> memoryview:
        """All bytes, to the end of the last page."""
        return self._whole

    def free(self) -> None:
        """Unmap it. Again does nothing."""
        release, self._release = self._release, None
        if release is not None:
            release(self)
            self.drop()

    def own(self, release: Callable[[DmaRun], None]) -> None:
        """Say what unmaps it from the card."""
        self._release = release

    def drop(self) -> None:
        """Let go of the bytes; a slice that somebody still holds keeps them until it is gone."""
        with contextlib.suppress(BufferError):
            self._view.release()
            self._whole.release()
            self._memory.close()


class DmaRuns:
    """Allocates runs.

    Parameters
    ----------
    space
        Where their addresses come from.
    attach, detach
        Map and unmap a run for the card; ``attach`` finds the descriptor of the memory open.

    """

    def __init__(self, space: AddressSpace, attach: Callable[[DmaRun], None],
                 detach: Callable[[DmaRun], None]) -> None:
        self._space = space
        self._attach = attach
        self._detach = detach
        self._huge = True

    def allocate(self, size: int, align: int = 4096) -> DmaRun:
        """Return a run of at least ``size`` bytes.

        Raises
        ------
        CardError
            If there is no such memory or no address for it, or it cannot be mapped.

        """
        if size < 1 or align < 1 or align & (align - 1):
            raise CardError(f"memory is at least 1 byte at a power of two, not {size} at {align}")
        run = self._memory(size)
        # Large pages are translated as such only where the addresses are aligned like them.
        step = HUGE_PAGE if run.size % HUGE_PAGE == 0 else _PAGE
        try:
            run.address = self._space.allocate(run.size, max(align, step))
            try:
                self._attach(run)
            except CardError:
                self._space.free(run.address)
                raise
        except CardError:
            run.drop()
            raise
        finally:
            os.close(run.fd)
            run.fd = -1
        run.own(self._release)
        return run

    def _release(self, run: DmaRun) -> None:
        self._detach(run)
        self._space.free(run.address)

    def _memory(self, size: int) -> DmaRun:
        if size >= HUGE_PAGE and self._huge:
            try:
                return _run(size, HUGE_PAGE, os.MFD_HUGETLB | os.MFD_HUGE_2MB)
            except OSError as error:
                self._huge = False
                warnings.warn(f"no huge pages for {size >> 20} MiB, so ordinary ones are used from "
                              f"now on; raise vm.nr_hugepages ({error.strerror})", RuntimeWarning,
                              stacklevel=4)
        try:
            return _run(size, _PAGE, 0)
        except OSError as error:
            raise CardError(f"{size} bytes of memory cannot be had: {error.strerror}") from error


def _run(length: int, page: int, flags: int) -> DmaRun:
    size = -(-length // page) * page
    fd = os.memfd_create("pagering", os.MFD_CLOEXEC | flags)
    try:
        os.ftruncate(fd, size)
        return DmaRun(fd, size, length)
    except BaseException:
        os.close(fd)
        raise
