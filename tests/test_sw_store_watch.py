"""What a card sees of stores: counted by width, and wrong in part or twice."""

from __future__ import annotations

import pytest

from pagering import abi
from pagering.card import Card
from pagering.fake import FakeCard
from pagering.store_watch import StoreWatch
from stores import watched

SCRATCH = abi.CARD.address("SCRATCH")
WINDOW = abi.USER.base + abi.RETURN_WINDOW


def test_accesses_are_counted_by_width() -> None:
    watch = StoreWatch()
    watch.load()
    for strobes in (0b1111, 0b0011, 0b1000, 0b0111, 0b1111):
        watch.store(SCRATCH, strobes, strobes)
    assert watch.widths == {("read", 4): 1, ("write", 4): 2, ("write", 2): 1, ("write", 1): 1,
                            ("write", 3): 1}
    assert watch.take_problems() == [f"a store of {width} bytes of the word at {SCRATCH:#x}"
                                     for width in (2, 1, 3)]
    assert watch.take_problems() == [], "each is told once"


@pytest.mark.parametrize("offset", [SCRATCH, WINDOW, abi.USER.address("CONSUMED", 3)])
def test_the_same_store_twice_in_a_row_is_wrong(offset: int) -> None:
    watch, by_hand = StoreWatch(), StoreWatch(by_hand=True)
    for seen in (watch, by_hand):
        seen.store(offset, 7)
        seen.store(offset, 7)
    assert watch.take_problems() == [f"0x7 was stored twice to {offset:#x}"]
    assert by_hand.take_problems() == []


def test_what_is_no_repeat() -> None:
    watch = StoreWatch()
    watch.store(SCRATCH, 7)
    watch.load()
    watch.store(SCRATCH, 7)
    watch.store(SCRATCH, 8)
    watch.store(SCRATCH + 4, 8)
    watch.store(SCRATCH, 8)
    for offset in (abi.USER.address("ARM", 63), abi.CARD.address("RESET")):
        watch.store(offset, 1)
        watch.store(offset, 1)
    assert watch.take_problems() == []


class Twice(FakeCard):
    """A card whose host stores tokens as a slice does: again, wide."""

    def write32(self, offset: int, value: int) -> None:
        super().write32(offset, value)
        if offset >= WINDOW and offset < WINDOW + abi.RETURN_WINDOW_BYTES:
            self.stores.store(offset, value)


def receive(fake: FakeCard) -> None:
    card = Card(fake)
    queue = card.add_queue(card.add_pool())
    card.steer_to(queue)
    card.receive = True
    fake.inject(bytes(60))
    queue.recv().close()
    card.close()


def test_a_test_of_a_driver_that_stores_twice_fails() -> None:
    with watched():
        receive(FakeCard())
    with pytest.raises(AssertionError, match=r"the card saw 1 wrong stores, the first of them: "
                                             r"0x\w+ was stored twice to 0x\w+"), watched():
        receive(Twice())
