"""The self test: right cards pass, and each kind of wrong one fails the check that is for it."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from rich.console import Console

from pagering import abi
from pagering.devices import Device, open_device
from pagering.fake import FakeCard
from pagering.selftest import CHECKS, Verdict, check, report


def outcomes(fake: FakeCard, send: bool = True) -> dict[str, tuple[Verdict, str]]:
    device = Device("a card", fake, fake.inject if send else None)
    return {found.name: (found.verdict, found.text) for found in check(device)}


@pytest.mark.parametrize("options", [
    {}, {"queues": 1, "pools": 1, "regions": 1}, {"chunk_bytes": 64}, {"statistics": False},
    {"parser": False, "steering": False}, {"page_bytes": 65536}, {"region_pages": 1}])
def test_a_good_card(options: dict[str, Any]) -> None:
    fake = FakeCard(**options)
    found = outcomes(fake)
    assert {verdict for verdict, _ in found.values()} == {Verdict.OK}, found
    assert list(found) == list(CHECKS)
    fake.check_guards()
    assert not fake.stray_writes
    assert fake.mapped_bytes == 0
    assert fake.closed


def test_a_wire_that_nobody_reaches() -> None:
    found = outcomes(FakeCard(), send=False)
    assert found["frames"] == (Verdict.SKIPPED, "nobody here can bring frames to the wire")
    assert [verdict for verdict, _ in found.values()].count(Verdict.OK) == len(CHECKS) - 1


class Stuck(FakeCard):
    """A bit of SCRATCH is stuck at 1."""

    def read32(self, offset: int) -> int:
        stuck = 0x100 if offset == abi.CARD.address("SCRATCH") else 0
        return super().read32(offset) | stuck


class Aliased(FakeCard):
    """The first two queues answer to the same addresses."""

    def write32(self, offset: int, value: int) -> None:
        if offset == abi.QUEUE.address("RING_HIGH", 1):
            super().write32(abi.QUEUE.address("RING_HIGH", 0), value)
        super().write32(offset, value)


class Deaf(FakeCard):
    """Interrupts are lost."""

    def wait_interrupt(self, vector: int, timeout: float | None = None) -> bool:
        super().wait_interrupt(vector, timeout)
        return False


class Nervous(FakeCard):
    """Interrupts come when nobody asked."""

    def wait_interrupt(self, vector: int, timeout: float | None = None) -> bool:
        return super().wait_interrupt(vector, timeout) or vector < self.config.queues


class Forgetful(FakeCard):
    """Tokens that are pushed are lost."""

    def write_tokens(self, offset: int, tokens: Sequence[int]) -> None:
        pass


class Flipping(FakeCard):
    """A bit of long frames turns on its way."""

    def inject(self, frame: bytes, **how: bool) -> Any:
        return super().inject(frame[:-1] + bytes((frame[-1] ^ (len(frame) > 1500),)), **how)


class Losing(FakeCard):
    """A frame is lost now and then."""

    def inject(self, frame: bytes, **how: bool) -> Any:
        return super().inject(frame, **how) if frame[20] != 0x40 else None


class Blind(FakeCard):
    """What the card writes and reads lands elsewhere: an IOMMU without a mapping."""

    def allocate(self, size: int, align: int = 4096) -> Any:
        memory = super().allocate(size, align)
        if size != self.config.region_bytes:
            memory.free()
        return memory


@pytest.mark.parametrize(("kind", "name", "sentence"), [
    (Stuck, "registers", "SCRATCH reads 0x00000100 after 0x00000000 was written"),
    (Aliased, "registers", "RING_HIGH of queue 0 reads 0x02020202, not the 0x01010101"),
    (Deaf, "interrupts", "vector 0 was forced and did not fire"),
    (Deaf, "events", ""),
    (Nervous, "interrupts", "vector 0 fired without being armed"),
    (Forgetful, "faults", "instead of one fault return_page the card counted {}"),
    (Forgetful, "frames", ""),
    (Flipping, "frames", "1514 bytes of 00000000, did not arrive as it was sent"),
    (Losing, "frames", "did not arrive as it was sent"),
    (Blind, "pool memory", "until the card has written its count of free pages, in vain"),
    (Blind, "returned tokens", "until the card has fetched the returned tokens, in vain"),
    (Blind, "frames", "did not arrive"),
])
def test_a_bad_card_fails_where_it_is_bad(kind: Callable[[], FakeCard], name: str, sentence: str,
                                          monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pagering.selftest._WAIT_S", 0.02)
    found = outcomes(kind())
    if (kind, name) == (Deaf, "events"):
        assert found[name][0] is Verdict.OK, "events can be looked at without their interrupt"
        return
    assert found[name][0] is Verdict.FAILED
    assert sentence in found[name][1]
    assert found["identity"][0] is Verdict.OK


def test_the_report() -> None:
    text = io.StringIO()
    console = Console(file=text, width=120)
    assert report(list(check(open_device("model"))), console) == 0
    assert text.getvalue().count("ok ") == len(CHECKS)
    broken = Stuck()
    assert report(list(check(Device("bad", broken, broken.inject))), console) == 1
    assert "failed" in text.getvalue()
