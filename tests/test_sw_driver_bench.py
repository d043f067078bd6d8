"""The bench of the driver: what it measures is received and returned, every chunk once."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from pagering import driver_bench
from pagering.bench_stream import CompletionStream
from pagering.errors import PageringError


@pytest.mark.parametrize("returns", ["push", "pull"])
@pytest.mark.parametrize("chunk", [256, 4096])
def test_the_stream_is_what_it_says(returns: str, chunk: int) -> None:
    stream = CompletionStream(returns, entries=512, chunk_bytes=chunk)
    for passed in range(3):
        if passed == 0:
            stream.watch()
        stream.fill()
        lengths: list[int] = []
        while len(lengths) < 512:
            with stream.queue.recv_arrays(100) as burst:
                lengths += burst.length.tolist()
        assert lengths == stream.lengths
        assert len(stream.queue.recv_arrays()) == 0
        if passed == 0:
            stream.check()
    stream.close()


@pytest.mark.parametrize("returns", ["push", "pull"])
def test_what_does_not_come_back_is_noticed(returns: str) -> None:
    stream = CompletionStream(returns, entries=512)
    stream.watch()
    stream.fill()
    with pytest.raises(PageringError, match="runs over completions that nobody has read"):
        stream.fill()
    stream.queue.recv_arrays(300).close()
    stream.queue.recv_arrays(300)  # never given back
    with pytest.raises(PageringError, match="300 chunks came back of 512"):
        stream.check()


def test_the_figures(tmp_path: Path) -> None:
    rates = driver_bench.measure(4096, 5)
    assert [rate.way for rate in rates] == list(driver_bench.WAYS)
    plain = next(rate for rate in rates if rate.way == driver_bench.PLAIN)
    assert plain.ratio == 1
    for rate in rates:
        assert rate.ratio == pytest.approx(rate.frames_per_second / plain.frames_per_second)
    by_way = {rate.way: rate.frames_per_second for rate in rates}
    assert by_way["arrays"] > by_way["memoryviews"] > by_way["Frame objects"]


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rates = [driver_bench.Rate("arrays", 4096, "pull", 9e6, 8.0, 10e6),
             driver_bench.Rate("arrays", 256, "pull", 8e6, 7.0, None)]
    monkeypatch.setattr(driver_bench, "measure",
                        lambda chunk, turns: [r for r in rates if r.chunk_bytes == chunk])
    text = io.StringIO()
    console = Console(file=text, width=100)
    where = tmp_path / "new" / "figures.json"
    assert driver_bench.run(where, console=console) == 1, "a target was missed"
    assert "9.00" in text.getvalue()
    assert " no" in text.getvalue()
    assert [row["frames_per_second"] for row in json.loads(where.read_text())] == [9e6, 8e6]
    rates[0] = driver_bench.Rate("arrays", 4096, "pull", 11e6, 8.0, 10e6)
    assert driver_bench.run(where, console=console) == 0
    with pytest.raises(PageringError, match="cannot be written: .*choose another place"):
        driver_bench.run(tmp_path, console=console)
