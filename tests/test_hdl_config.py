"""CardConfig: every bound, each with the sentence that names the parameter and its value."""

from __future__ import annotations

import pytest

from pagering_hdl.config import BUS_WIDTHS, CardConfig


@pytest.mark.parametrize(("changes", "sentence"), [
    ({"bus_bits": 96}, "bus_bits must be 64, 128, 256 or 512, not 96"),
    ({"queues": 0}, "queues must be 1 to 64, not 0"),
    ({"queues": 65}, "queues must be 1 to 64, not 65"),
    ({"pools": 0}, "pools must be 1 to 64, not 0"),
    ({"pools": 65}, "pools must be 1 to 64, not 65"),
    ({"page_bytes": 2048}, "page_bytes must be a power of two from 4096 to 65536, not 2048"),
    ({"page_bytes": 131072}, "page_bytes must be a power of two from 4096 to 65536, not 131072"),
    ({"chunk_bytes": 32}, "chunk_bytes must be a power of two from 64 to 4096, not 32"),
    ({"chunk_bytes": 8192}, "chunk_bytes must be a power of two from 64 to 4096, not 8192"),
    ({"page_bytes": 65536, "chunk_bytes": 512},
     "chunk_bytes must be a power of two from 1024 to 65536, not 512"),
    ({"pages": 1000}, "pages must be a power of two from 2 to 65536, not 1000"),
    ({"pages": 131072}, "pages must be a power of two from 2 to 65536, not 131072"),
    ({"region_pages": 2048}, "region_pages must be a power of two from 4 to 1024, not 2048"),
    ({"region_pages": 2}, "region_pages must be a power of two from 4 to 1024, not 2"),
    ({"max_frame": 63}, "max_frame must be 64 to 16383, not 63"),
    ({"max_frame": 16384}, "max_frame must be 64 to 16383, not 16384"),
    ({"fifo_bytes": 512}, "fifo_bytes must be a power of two from 1024 to 1048576, not 512"),
    ({"fifo_bytes": 8192}, "fifo_bytes must be at least max_frame, 9600, not 8192"),
    ({"burst_bytes": 32}, "burst_bytes must be a power of two from 64 to 2048, not 32"),
    ({"burst_bytes": 4096}, "burst_bytes must be a power of two from 64 to 2048, not 4096"),
    ({"bus_bits": 512, "burst_bytes": 8192},
     "burst_bytes must be a power of two from 64 to 4096, not 8192"),
    ({"in_flight": 2}, "in_flight must be a power of two from 4 to 1024, not 2"),
    ({"clock_khz": 999}, "clock_khz must be 1000 to 2000000, not 999"),
    ({"pool_watch": False}, "pool_watch must be true on a card with pull_returns, not False"),
    ({"parser": False, "header_split": False},
     "parser must be true on a card with steering, not False"),
    ({"parser": False, "steering": False},
     "parser must be true on a card with header_split, not False"),
    ({"in_flight": 2048}, "in_flight must be a power of two from 4 to 1024, not 2048"),
])
def test_init_wrong(changes, sentence):
    with pytest.raises(ValueError, match=f"^{sentence}$"):
        CardConfig(**changes)


@pytest.mark.parametrize("changes", [
    {"queues": 64, "pools": 64}, {"page_bytes": 65536, "chunk_bytes": 1024},
    {"pages": 65536, "region_pages": 256}, {"pages": 2, "region_pages": 1},
    {"max_frame": 16383}, {"max_frame": 64, "fifo_bytes": 1024}, {"in_flight": 4},
    {"chunk_bytes": 64}, {"bus_bits": 512, "burst_bytes": 4096},
    {"pull_returns": False, "pool_watch": False}, {"pull_returns": False},
    {"steering": False}, {"parser": False, "steering": False, "header_split": False},
    {"statistics": False},
    {"timestamps": False},
])
def test_takes_the_extremes(changes):
    for name, value in changes.items():
        assert getattr(CardConfig(**changes), name) == value


def test_derived_sizes():
    config = CardConfig(bus_bits=256, page_bytes=8192, chunk_bytes=2048, pages=512,
                        region_pages=16, fifo_bytes=16384)
    assert (config.bus_bytes, config.bus_log2) == (32, 5)
    assert (config.page_log2, config.chunk_log2, config.chunks) == (13, 11, 4)
    assert (config.regions, config.region_pages_log2, config.region_log2) == (32, 4, 17)
    assert config.fifo_beats == 512


def test_in_flight_follows_the_width_unless_it_is_given():
    assert [CardConfig(bus_bits=bits).in_flight for bits in BUS_WIDTHS] == [64, 128, 256, 256]
    assert CardConfig(in_flight=16).in_flight == 16


def test_is_frozen():
    with pytest.raises(AttributeError, match="cannot assign"):
        CardConfig().queues = 2
