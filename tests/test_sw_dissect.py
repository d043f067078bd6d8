"""The software twin of the dissector against scapy, on captures and on drawn frames."""

from __future__ import annotations

import os
import random
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packets import damaged, packet
from pagering.abi import L3, L4
from pagering.capture import read_frames
from pagering.dissect import Dissection, Facts, FlowKey, dissect
from scapy_judge import judge

FOLDER = Path(os.environ.get("PAGERING_PCAPS")
              or Path(__file__).resolve().parents[2] / "shared" / "pcap")
CAPTURES = sorted(FOLDER.glob("*.pcap"))
NO_CAPTURES = f"there are no captures in {FOLDER}; name a folder with PAGERING_PCAPS"


def said(dissection: Dissection) -> dict[str, Any]:
    return {**asdict(dissection.facts), **asdict(dissection.flow)}


def agree(frame: bytes) -> None:
    found = dissect(frame)
    assert said(found) == judge(frame), frame.hex()
    assert found.length == len(frame)
    assert found.destination == int.from_bytes(frame[:6] + bytes(6 - len(frame[:6])), "big")


@pytest.mark.parametrize("seed", range(4))
def test_whole_packets(seed):
    rng = random.Random(seed)
    for _ in range(500):
        agree(packet(rng))


@pytest.mark.parametrize("seed", range(4))
def test_damaged_packets(seed):
    rng = random.Random(seed)
    for _ in range(500):
        agree(damaged(rng, packet(rng, longest=300)))


STARTS = [bytes.fromhex(start) for start in (
    "0800", "0800 45", "0800 4500001c000000004011", "86dd", "86dd 600000000010 00",
    "86dd 6000000000182c40", "0806", "8100 0001 0800 46", "88a8 0001 8100 0002 86dd 60")]


@given(st.sampled_from(STARTS), st.binary(max_size=120))
def test_garbage(start: bytes, rest: bytes) -> None:
    agree(bytes(12) + start + rest)


@pytest.mark.slow
@pytest.mark.parametrize("path", [pytest.param(path, id=path.stem) for path in CAPTURES] or [
    pytest.param(None, marks=pytest.mark.skip(reason=NO_CAPTURES))])
def test_every_frame_of_a_capture(path):
    for frame in set(read_frames(path, allow_cut=True).frames):
        agree(frame)


def test_a_frame_by_hand():
    """A tagged UDP datagram and two bytes of padding, its sums worked out on paper."""
    frame = bytes.fromhex("020000000001 020000000002 8100 2007 0800 "
                          "4500 0020 0001 0000 4011 f978 c0a80001 c0a80002 "
                          "0035 1000 000c d0af dead beef 5555")
    assert dissect(frame) == Dissection(
        length=len(frame), destination=0x020000000001,
        flow=FlowKey(0xC0A80001, 0xC0A80002, 0x35, 0x1000, 17),
        facts=Facts(L3.IPV4, L4.UDP, l3_checked=True, l3_ok=True, l4_checked=True, l4_ok=True,
                    vlan=True, header=46, checksum=0xFBEA, tci=0x2007))


@pytest.mark.parametrize("frame", [b"", b"\x02", bytes(13), bytes(14), b"\xff" * 17])
def test_next_to_nothing(frame):
    found = dissect(frame)
    assert found.length == len(frame)
    assert found.flow == FlowKey()
    assert found.facts == Facts(checksum=0xFFFF ^ 0x00FF if len(frame) == 17 else 0)
