"""Counters are read whole, and say under Linux' names what the card counts under its own."""

from __future__ import annotations

import itertools

import pytest
from scapy.layers.inet import IP, TCP
from scapy.layers.l2 import Ether

from pagering import Card, DropCause, abi
from pagering.fake import FakeCard
from pagering.registers import RegisterMap
from pagering.statistics import LINK, OVERRUNS, QUEUE, link_statistics, rmon_statistics

ZEROS = dict.fromkeys((counter.name for counter in abi.COUNTERS), 0)


class MovingCard(FakeCard):
    """A card on which a counter moves with every read of a register."""

    step = 1

    def read32(self, offset: int) -> int:
        word = super().read32(offset)
        self.state.statistics.card["BYTES_IN"] += self.step
        return word


@pytest.mark.parametrize("start", [0, (1 << 32) - 3, (1 << 32) - 2, (1 << 32) - 1, (7 << 32) - 2])
def test_a_counter_that_carries_while_it_is_read_is_read_whole(start: int) -> None:
    fake = MovingCard()
    fake.state.statistics.card["BYTES_IN"] = start
    read = RegisterMap(fake).stats.count("BYTES_IN")
    assert start <= read <= fake.state.statistics.card["BYTES_IN"]


class CrowdedCard(MovingCard):
    """Between any two reads of one reader, another reads the whole counter."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[int] = []
        self._other = False

    def read32(self, offset: int) -> int:
        if not self._other:
            self._other = True
            self.seen.append(RegisterMap(self).stats.count("BYTES_IN"))
            self._other = False
        return super().read32(offset)


def test_readers_that_know_nothing_of_each_other_all_read_whole() -> None:
    fake = CrowdedCard()
    for short_of_a_carry in range(1, 20):
        counters = fake.state.statistics.card
        counters["BYTES_IN"] = before = (5 << 32) - short_of_a_carry
        fake.seen.clear()
        value = RegisterMap(fake).stats.count("BYTES_IN")
        assert before <= value <= counters["BYTES_IN"] < before + 100
        assert before <= fake.seen[0]
        assert fake.seen == sorted(fake.seen)
        assert fake.seen[-1] <= counters["BYTES_IN"]


def test_a_counter_has_64_bits() -> None:
    fake = FakeCard()
    fake.state.statistics.card["BYTES_IN"] = (1 << 64) + 0x0123456789ABCDEF
    assert RegisterMap(fake).counters()["BYTES_IN"] == 0x0123456789ABCDEF


def test_each_cause_is_in_exactly_one_error_of_the_link() -> None:
    """Missed, dropped or an error; the detailed errors are parts of rx_errors."""
    whole = [LINK[name] for name in ("rx_errors", "rx_missed_errors", "rx_dropped")]
    assert sorted(itertools.chain.from_iterable(whole)) == sorted(DropCause)
    detailed = [LINK[name] for name in ("rx_crc_errors", "rx_length_errors", "rx_frame_errors")]
    assert sorted(itertools.chain.from_iterable(detailed)) == sorted(LINK["rx_errors"])


@pytest.mark.parametrize(("cause", "name"), [
    (DropCause.NO_PAGE, "rx_missed_errors"), (DropCause.RING_FULL, "rx_missed_errors"),
    (DropCause.OVERFLOW, "rx_missed_errors"), (DropCause.POOL_LIMIT, "rx_missed_errors"),
    (DropCause.QUEUE_QUOTA, "rx_missed_errors"), (DropCause.RULE, "rx_dropped"),
    (DropCause.MAC_FILTER, "rx_dropped"), (DropCause.QUEUE_DISABLED, "rx_dropped"),
    (DropCause.BAD_FRAME, "rx_crc_errors"), (DropCause.RUNT, "rx_length_errors"),
    (DropCause.OVERSIZE, "rx_length_errors"), (DropCause.MALFORMED, "rx_frame_errors")])
def test_missed_is_not_dropped(cause: DropCause, name: str) -> None:
    link = link_statistics({**ZEROS, f"DROP_{cause.name}": 3}, 0)
    moved = {key for key, value in link.items() if value}
    assert moved == {name} | ({"rx_errors"} if cause in LINK["rx_errors"] else set())


def test_drops_of_a_queue_are_those_of_the_card() -> None:
    """Each cause behind steering has a counter at the queue; overruns are the card's overruns."""
    assert set(abi.QUEUE_DROPS) == {cause for cause in DropCause
                                    if cause > DropCause.CARD_DISABLED}
    assert set(QUEUE["rx-hw-drops"]) == set(abi.QUEUE_DROPS.values())
    overruns = {cause for cause, name in abi.QUEUE_DROPS.items()
                if name in QUEUE["rx-hw-drop-overruns"]}
    assert overruns == OVERRUNS - {DropCause.OVERFLOW}


def test_sizes_have_the_names_of_ethtool() -> None:
    names = list(rmon_statistics(ZEROS))
    assert names == ["0-63", "64", "65-127", "128-255", "256-511", "512-1023", "1024-1518",
                     "1519-2047", "2048-4095", "4096-8191", "8192-9216", "9217+"]
    assert [least for least, _ in abi.SIZES[1:]] == [most + 1 for _, most in abi.SIZES[:-1] if most]
    assert rmon_statistics({**ZEROS, "SIZE_65_127": 2, "SIZE_9217_UP": 1})["65-127"] == 2


def test_a_card_and_its_queues_tell_what_they_received() -> None:
    fake = FakeCard(queues=3)
    good = bytes(Ether(dst="01:00:5e:00:00:01") / IP() / TCP())
    bad = bytes(Ether(dst="ff:ff:ff:ff:ff:ff") / IP() / TCP(chksum=1))
    with Card(fake) as card:
        queues = [card.add_queue(card.add_pool(8, low_water=(0, 0))) for _ in range(2)]
        card.steer_round_robin(queues)
        card.receive = True
        for frame in (good, bad, good, bytes(60)):
            assert fake.inject(frame) is None
        card.steer_to(2)
        assert fake.inject(good) is DropCause.QUEUE_DISABLED
        assert fake.inject(good, bad=True) is DropCause.BAD_FRAME
        first, second = (queue.statistics() for queue in queues)
        assert first == {
            "rx-packets": 2, "rx-bytes": 2 * len(good), "rx-alloc-fail": 0, "rx-hw-drops": 0,
            "rx-hw-drop-overruns": 0, "rx-csum-complete": 0, "rx-csum-unnecessary": 2,
            "rx-csum-none": 0, "rx-csum-bad": 0}
        assert (second["rx-csum-bad"], second["rx-csum-none"]) == (1, 1)
        assert (queues[0].delivered, queues[0].dropped) == (2, 0)
        both = card.statistics()
        assert both["rx-hw-drops"] == 1, "of queue 2, which is not open"
        assert {**both, "rx-hw-drops": 0} == {name: first[name] + second[name] for name in first}
        link = card.link_statistics()
        assert link["rx_packets"] == both["rx-packets"] == 4
        assert link["rx_bytes"] == both["rx-bytes"] == 2 * len(good) + len(bad) + 60
        assert (link["multicast"], link["rx_dropped"], link["rx_crc_errors"]) == (3, 1, 1)
        assert card.rmon_statistics()["0-63"] == 5
        assert card.counters()["broadcast"] == 1
        for queue in queues:
            with queue.recv() as burst:
                assert len(burst) == 2
        queues[0].close()
        assert card.statistics() == both, "a queue that is closed has still received"


def test_pause_is_set_in_bytes() -> None:
    with Card(FakeCard()) as card:
        card.set_pause(fifo=(1 << 14, 1 << 12), pools=False)
        assert card.registers.card.PAUSE_FIFO.read() == {"xoff": 256, "xon": 64}
        assert card.registers.card.PAUSE.read() == {"fifo": 1, "pools": 0, "held": 1}
        card.set_pause(held=False)
        assert card.registers.card.PAUSE.read() == {"fifo": 0, "pools": 1, "held": 0}
        assert not card.pausing
        card.add_pool(8, low_water=(8, 8))
        assert card.pausing
        card.set_pause(pools=False)
        assert not card.pausing


@pytest.mark.parametrize("levels", [(64, 64), (100, 64), (128, 65), (1 << 22, 0), (64, -64)])
def test_levels_that_make_no_sense_are_refused(levels: tuple[int, int]) -> None:
    with Card(FakeCard()) as card, pytest.raises(
            ValueError, match=f"XON below XOFF, not at {levels[0]} and {levels[1]}"):
        card.set_pause(fifo=levels)


def test_the_fullest_that_the_fifo_has_been() -> None:
    fake = FakeCard(bus_bytes=8)
    with Card(fake) as card:
        card.receive = True
        fake.inject(bytes(1001))
        fake.inject(bytes(60))
        assert card.fifo_peak == 1008
