"""PtrRing: FIFO order, lazily emptied slots, and the sentences of its errors."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pagering.errors import PoolError
from pagering.ptr_ring import PtrRing


def filled(size: int) -> PtrRing[int]:
    ring: PtrRing[int] = PtrRing(size)
    for value in range(size):
        assert ring.produce(value)
    return ring


@pytest.mark.parametrize(("size", "batch"), [(1, 1), (2, 1), (31, 1), (32, 16), (33, 16),
                                             (1024, 16)])
def test_init_batch(size: int, batch: int) -> None:
    ring: PtrRing[int] = PtrRing(size)
    assert (ring.size, ring.batch, len(ring)) == (size, batch, 0)
    assert ring.empty
    assert not ring.full


@pytest.mark.parametrize("size", [0, -1])
def test_init_wrong_size(size: int) -> None:
    with pytest.raises(PoolError, match=f"^ring size must be at least 1, not {size}$"):
        PtrRing(size)


def test_produce_none() -> None:
    ring: PtrRing[None] = PtrRing(4)
    with pytest.raises(PoolError, match=r"^a ring cannot hold None: it marks an empty slot$"):
        ring.produce(None)


def test_is_a_fifo() -> None:
    ring = filled(8)
    assert [ring.consume() for _ in range(9)] == [*range(8), None]


def test_full_ring_refuses_and_changes_nothing() -> None:
    ring = filled(8)
    assert ring.full
    assert not ring.produce(99)
    assert [ring.consume() for _ in range(8)] == list(range(8))


def test_slots_are_emptied_in_batches() -> None:
    """Pitfall 13: a full ring of 64 refuses after 15 consumes and accepts after the 16th."""
    ring = filled(64)
    for _ in range(15):
        ring.consume()
        assert not ring.produce(99)
    assert len(ring) == 49
    ring.consume()
    assert [ring.produce(100 + i) for i in range(17)] == [True] * 16 + [False]


def test_the_wrap_empties_a_part_batch() -> None:
    ring = filled(40)
    for _ in range(39):
        ring.consume()
    assert [ring.produce(value) for value in range(33)] == [True] * 32 + [False]
    assert ring.consume() == 39
    assert [ring.produce(value) for value in range(33, 42)] == [True] * 8 + [False]


def test_a_small_ring_empties_each_slot_at_once() -> None:
    ring = filled(31)
    for value in range(40):
        ring.consume()
        assert ring.produce(value)
        assert not ring.produce(99)


@settings(max_examples=60, deadline=None)
@given(size=st.one_of(st.integers(1, 80), st.sampled_from([31, 32, 48, 64])),
       runs=st.lists(st.tuples(st.integers(0, 100), st.integers(0, 100)), max_size=12))
def test_capacity_follows_from_the_position(size: int, runs: list[tuple[int, int]]) -> None:
    """In each lap the freed slots are the whole batches consumed; a lap's end frees all of it."""
    ring: PtrRing[int] = PtrRing(size)
    batch = 16 if size >= 32 else 1
    produced = consumed = 0
    for puts, gets in runs:
        for _ in range(puts):
            freed = consumed - consumed % size % batch
            room = produced - freed < size
            assert ring.full is (not room)
            assert ring.produce(produced) is room
            produced += room
        for _ in range(gets):
            assert ring.empty is (consumed == produced)
            assert ring.consume() == (consumed if consumed < produced else None)
            consumed += consumed < produced
        assert len(ring) == produced - consumed
