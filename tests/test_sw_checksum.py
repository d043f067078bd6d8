"""The Internet checksum: published sums, scapy's, and what a right one looks like."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.utils import checksum

from pagering.checksum import ones_sum, pseudo_header


@pytest.mark.parametrize(("data", "total"), [
    ("0001f203f4f5f6f7", 0xDDF2),  # RFC 1071, section 3
    ("", 0), ("00", 0), ("0000", 0), ("ffff", 0xFFFF), ("ffffffff", 0xFFFF), ("ff", 0xFF00),
    ("ffff0001", 1), ("80008000", 1),
])
def test_known_sums(data: str, total: int) -> None:
    assert ones_sum(bytes.fromhex(data)) == total


@given(st.binary(max_size=400))
def test_is_what_scapy_computes(data: bytes) -> None:
    assert ones_sum(data) == 0xFFFF ^ checksum(data)


@given(st.binary(min_size=2, max_size=64).filter(any))
def test_what_has_its_own_checksum_in_it_sums_up_to_all_ones(data: bytes) -> None:
    data += bytes(len(data) % 2)
    assert ones_sum(data + (0xFFFF ^ ones_sum(data)).to_bytes(2, "big")) == 0xFFFF


def test_the_pseudo_header_is_that_of_both_versions() -> None:
    assert pseudo_header(b"\1\2\3\4", b"\5\6\7\x08", 17, 0x1234) == bytes.fromhex(
        "01020304 05060708 00001234 00000011")
