"""Runs of memory: mapped when they are had, unmapped before they are gone, huge where possible."""

from __future__ import annotations

import os
import warnings

import pytest

from pagering import dma_runs
from pagering.address_space import AddressSpace
from pagering.dma_runs import DmaRun, DmaRuns
from pagering.errors import CardError
from pagering.mapped_providers import HUGE_PAGE


class Card:
    """Remembers what is mapped; refuses when told to."""

    def __init__(self) -> None:
        self.mapped: dict[int, int] = {}
        self.refuse = False
        self.space = AddressSpace([(0, (1 << 32) - 1)])
        self.runs = DmaRuns(self.space, self.attach, self.detach)

    def attach(self, run: DmaRun) -> None:
        if self.refuse:
            raise CardError("no")
        assert os.fstat(run.fd).st_size == run.size
        self.mapped[run.address] = run.size

    def detach(self, run: DmaRun) -> None:
        assert run.pages[0] in range(256), "unmapped while the memory is still there"
        assert self.mapped.pop(run.address) == run.size


def test_a_run_is_mapped_zeroed_and_aligned() -> None:
    card = Card()
    run = card.runs.allocate(5000, 1 << 16)
    assert (len(run.view), run.size, run.address % (1 << 16)) == (5000, 8192, 0)
    assert not any(run.view)
    assert card.mapped == {run.address: 8192}
    assert run.fd == -1
    run.view[4999] = 7
    run.free()
    run.free()
    assert not card.mapped
    with pytest.raises(CardError, match=f"memory at {run.address:#x} was freed"):
        _ = run.view


def test_a_slice_outlives_its_run() -> None:
    run = Card().runs.allocate(4096)
    part = run.view[10:20]
    part[0] = 3
    run.free()
    assert bytes(part) == b"\3" + bytes(9)


def test_what_cannot_be_mapped_leaves_nothing() -> None:
    card = Card()
    before = set(os.listdir("/proc/self/fd"))
    card.refuse = True
    for _ in range(3):
        with pytest.raises(CardError, match="no"):
            card.runs.allocate(4096)
    assert set(os.listdir("/proc/self/fd")) == before
    card.refuse = False
    first = card.runs.allocate(4096)
    card.space.reserve(first.address - 4096 * 3, 4096 * 3)


def test_huge_pages_or_one_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system of huge pages is stood in for: the machine may have none."""
    flags: list[int] = []
    create = os.memfd_create

    def memfd(name: str, wanted: int) -> int:
        flags.append(wanted & (os.MFD_HUGETLB | os.MFD_HUGE_2MB))
        return create(name, wanted & ~(os.MFD_HUGETLB | os.MFD_HUGE_2MB))

    monkeypatch.setattr(dma_runs.os, "memfd_create", memfd)
    run = Card().runs.allocate(HUGE_PAGE + 1)
    assert flags == [os.MFD_HUGETLB | os.MFD_HUGE_2MB]
    assert (run.size, run.address % HUGE_PAGE) == (2 * HUGE_PAGE, 0)

    def none(name: str, wanted: int) -> int:
        if wanted & os.MFD_HUGETLB:
            raise OSError(12, "Cannot allocate memory")
        return create(name, wanted)

    monkeypatch.setattr(dma_runs.os, "memfd_create", none)
    card = Card()
    with pytest.warns(RuntimeWarning, match="no huge pages for 2 MiB, so ordinary ones are used"):
        run = card.runs.allocate(HUGE_PAGE)
    assert (run.size, run.address % HUGE_PAGE) == (HUGE_PAGE, 0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        card.runs.allocate(HUGE_PAGE)


@pytest.mark.parametrize(("size", "align"), [(0, 4096), (4096, 0), (4096, 3)])
def test_requests_that_are_none(size: int, align: int) -> None:
    with pytest.raises(CardError, match=f"not {size} at {align}"):
        Card().runs.allocate(size, align)
