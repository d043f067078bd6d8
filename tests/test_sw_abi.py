"""The contract itself: layouts pack as documented and no two registers share a word."""

from __future__ import annotations

import pytest

from pagering import abi


def _count(block: abi.Block) -> int:
    return {"": 1, "queues": abi.QUEUES_MAX, "pools": abi.POOLS_MAX,
            "regions": abi.REGION_SLOTS_MAX}[block.count]


def test_no_two_registers_share_an_address() -> None:
    taken: dict[int, str] = {}
    for block in abi.BLOCKS:
        for index in range(_count(block)):
            for register in block:
                address = block.address(register.name, index)
                name = f"{block.name}[{index}].{register.name}"
                assert address % 4 == 0, name
                assert address not in taken, f"{name} lies on {taken.get(address)}"
                taken[address] = name


def test_all_registers_and_windows_lie_inside_the_card_window() -> None:
    size = 1 << abi.WINDOW_ADDRESS_BITS
    for block in abi.BLOCKS:
        for register in block:
            assert block.address(register.name, _count(block) - 1) + 4 <= size
    last_user_page = abi.USER.base + abi.USER.stride * (abi.QUEUES_MAX - 1)
    assert last_user_page + abi.RETURN_WINDOW + abi.RETURN_WINDOW_BYTES <= size


def test_the_interrupt_table_and_its_pending_bits_have_room_for_every_vector() -> None:
    vectors = abi.QUEUES_MAX + 1
    assert abi.MSIX_BAR not in (abi.WINDOW_BAR, abi.WINDOW_BAR + 1)  # 64 bits take two
    assert abi.MSIX_TABLE % 8 == abi.MSIX_PBA % 8 == 0
    assert abi.MSIX_TABLE + 16 * vectors <= abi.MSIX_PBA
    assert abi.MSIX_PBA + 8 * -(-vectors // 64) <= abi.MSIX_BAR_BYTES
    assert abi.MSIX_BAR_BYTES & (abi.MSIX_BAR_BYTES - 1) == 0


def test_the_return_window_holds_no_register() -> None:
    assert all(register.offset < abi.RETURN_WINDOW for register in abi.USER)
    assert abi.RETURN_WINDOW + abi.RETURN_WINDOW_BYTES == 4096


def test_user_registers_share_no_page_with_privileged_ones() -> None:
    pages: dict[bool, set[int]] = {True: set(), False: set()}
    for block in abi.BLOCKS:
        for index in range(_count(block)):
            pages[block.user] |= {block.address(r.name, index) >> 12 for r in block}
    assert not pages[True] & pages[False]


@pytest.mark.parametrize("register", [r for block in abi.BLOCKS for r in block],
                         ids=lambda r: r.name)
def test_every_register_is_32_bits_and_its_reset_value_fits(register: abi.Register) -> None:
    assert register.width == 32
    assert all(field.reset < 1 << field.width for field in register.named)
    assert register.pack(**register.unpack(register.reset)) == register.reset


def test_token_and_completion_have_their_documented_sizes() -> None:
    assert abi.TOKEN.width == 32
    assert abi.COMPLETION.width == 8 * abi.COMPLETION_BYTES
    assert abi.LINE_BYTES % abi.COMPLETION_BYTES == 0
    assert abi.COMPLETION["phase"].lsb == 127


def test_token_packs_into_the_documented_bits() -> None:
    assert abi.TOKEN.pack(page=0xABCD, first=1, last=2, generation=5) == 0x5081ABCD


def test_unpack_reverses_pack_and_leaves_out_reserved_bits() -> None:
    values = {"token": 7, "hash": 8, "length": 9, "checksum": 10, "start": 1, "end": 0,
              "write_error": 1, "last_of_page": 0, "phase": 1}
    unpacked = abi.COMPLETION.unpack(abi.COMPLETION.pack(**values))
    assert {name: value for name, value in unpacked.items() if value or name in values} == values
    assert "_reserved" not in unpacked


def test_fields_not_named_take_their_reset_value() -> None:
    assert abi.POOL["LIMIT"].pack() == 65536
    assert abi.CARD["FRAME_LIMITS"].pack(minimum=60) == 0xFFFF003C


@pytest.mark.parametrize(("values", "sentence"), [
    ({"colour": 1}, "TOKEN has no field 'colour'"),
    ({"page": 65536}, "TOKEN.page is 16 bits wide; 65536 does not fit"),
    ({"first": -1}, "TOKEN.first is 6 bits wide; -1 does not fit"),
])
def test_pack_refuses_with_a_sentence(values: dict[str, int], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        abi.TOKEN.pack(**values)


def test_reserved_fields_cannot_be_packed() -> None:
    with pytest.raises(ValueError, match="has no field '_reserved'"):
        abi.COMPLETION.pack(_reserved=1)


def test_each_drop_cause_and_fault_has_its_counter() -> None:
    names = {counter.name for counter in abi.COUNTERS}
    assert {f"DROP_{cause.name}" for cause in abi.DropCause} <= names
    assert {f"FAULT_{fault.name}" for fault in abi.Fault} <= names
    assert names <= {register.name for register in abi.STATS}


def test_a_missing_register_is_a_key_error_that_names_the_block() -> None:
    with pytest.raises(KeyError, match="block POOL has no register 'NOPE'"):
        abi.POOL["NOPE"]


def test_a_register_wider_than_32_bits_cannot_be_made() -> None:
    with pytest.raises(ValueError, match="has 33 bits, not 32"):
        abi.Register("WIDE", 0, abi.Access.RW, "", abi.Field("value", 33))
