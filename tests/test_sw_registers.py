"""Register accessors: names from the contract, one access per read or write."""

from __future__ import annotations

import pytest

from pagering import abi
from pagering.fake import FakeCard
from pagering.registers import RegisterMap


@pytest.fixture
def fake() -> FakeCard:
    return FakeCard()


@pytest.fixture
def regs(fake: FakeCard) -> RegisterMap:
    return RegisterMap(fake, queues=4, pools=2, regions=4)


def test_read_returns_fields_and_get_one_of_them(regs: RegisterMap) -> None:
    assert regs.card.VERSION.read() == {"minor": abi.VERSION_MINOR, "major": abi.VERSION_MAJOR}
    assert regs.card.VERSION.get("major") == abi.VERSION_MAJOR
    assert regs.card.ID.get() == regs.card.ID.word() == abi.ID_VALUE


def test_get_without_a_name_needs_a_single_field(regs: RegisterMap) -> None:
    with pytest.raises(ValueError, match="has the fields minor, major; no field was named"):
        regs.card.VERSION.get()
    with pytest.raises(ValueError, match="'patch' is none of them"):
        regs.card.VERSION.get("patch")


def test_write_resets_fields_that_are_not_named_and_modify_keeps_them(regs: RegisterMap) -> None:
    regs.card.FRAME_LIMITS.write(minimum=64, maximum=1500)
    regs.card.FRAME_LIMITS.modify(minimum=60)
    assert regs.card.FRAME_LIMITS.read() == {"minimum": 60, "maximum": 1500}
    regs.card.FRAME_LIMITS.write(minimum=61)
    assert regs.card.FRAME_LIMITS.read() == {"minimum": 61, "maximum": 0xFFFF}


def test_every_access_is_one_32_bit_access(fake: FakeCard, regs: RegisterMap) -> None:
    regs.card.SCRATCH.write_word(0xDEADBEEF)
    assert regs.card.SCRATCH.word() == 0xDEADBEEF
    regs.card.SCRATCH.modify(value=1)
    assert fake.access_widths == {("write", 4): 2, ("read", 4): 2}


def test_registers_of_each_copy_are_their_own(regs: RegisterMap) -> None:
    regs.pool(0).LIMIT.write(pages=3)
    regs.pool(1).LIMIT.write(pages=4)
    regs.queue(3).QUOTA.write(pages=5)
    assert (regs.pool(0).LIMIT.get(), regs.pool(1).LIMIT.get()) == (3, 4)
    assert [regs.queue(q).QUOTA.get() for q in range(4)] == [65536, 65536, 65536, 5]
    assert regs.user(2).RX_BYTES.offset == abi.USER.address("RX_BYTES", 2)
    assert regs.region(3).offset == abi.REGION.address("REGION", 3)
    assert regs.return_window(1) == 0x5800


def test_an_index_past_the_end_is_refused_before_the_card_sees_it(
        fake: FakeCard, regs: RegisterMap) -> None:
    for view in (regs.queue, regs.user, regs.return_window):
        with pytest.raises(ValueError, match="the card has 4 queues"):
            view(4)
    with pytest.raises(ValueError, match="the card has 2 pools"):
        regs.pool(-1)
    with pytest.raises(ValueError, match="the card has 4 regions"):
        regs.region(4)
    assert not fake.access_widths


def test_writes_that_the_contract_forbids_are_refused_here(
        fake: FakeCard, regs: RegisterMap) -> None:
    with pytest.raises(ValueError, match="ID is read only"):
        regs.card.ID.write(value=1)
    with pytest.raises(ValueError, match="RESET is WO; only RW registers can be modified"):
        regs.card.RESET.modify(reset=1)
    with pytest.raises(ValueError, match="EVENTS is W1C"):
        regs.card.EVENTS.modify(fault=1)
    with pytest.raises(ValueError, match="does not fit"):
        regs.card.SCRATCH.write_word(1 << 32)
    with pytest.raises(ValueError, match="has no field 'speed'"):
        regs.card.CONTROL.write(speed=1)
    assert ("write", 4) not in fake.access_widths


def test_a_writer_of_one_field(fake: FakeCard, regs: RegisterMap) -> None:
    write = regs.card.SCRATCH.writer("value")
    write(0x1_2345_6789)
    assert regs.card.SCRATCH.get() == 0x2345_6789, "masked to the field"
    assert fake.writes == {abi.CARD.address("SCRATCH"): 1}
    with pytest.raises(ValueError, match="ID is read only"):
        regs.card.ID.writer("value")
    with pytest.raises(ValueError, match="has no field 'speed'"):
        regs.card.CONTROL.writer("speed")


def test_a_misspelt_register_is_an_attribute_error(regs: RegisterMap) -> None:
    with pytest.raises(AttributeError, match="block CARD has no register 'CONTROLL'"):
        _ = regs.card.CONTROLL
    assert "CONTROL" in dir(regs.card)


def test_counters_are_complete_and_named_as_in_the_contract(regs: RegisterMap) -> None:
    assert list(regs.counters()) == [counter.name for counter in abi.COUNTERS]
    assert set(regs.counters().values()) == {0}
