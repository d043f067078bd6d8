"""The bench of page pools: it measures what it says, and tells what was missed."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from pagering import pool_bench
from pagering.errors import PageringError


def test_the_plain_pool_recycles() -> None:
    plain = pool_bench.PlainMempool(8)
    first = plain.get()
    assert (first.size, len(first.view)) == (2048, 2048)
    batch = plain.get_batch(7)
    assert len({buffer.index for buffer in (first, *batch)}) == 8
    plain.put_batch(batch)
    plain.put(first)
    assert plain.get() is first


def test_every_cycle_leaves_its_pool_as_it_was() -> None:
    for cycle, _ in pool_bench._cycles().values():
        cycle()
        cycle()


def test_the_figures() -> None:
    costs = pool_bench.measure(1)
    by_line = {(cost.pool, cost.at_a_time): cost for cost in costs}
    for at_a_time in (1, pool_bench.BULK):
        assert by_line[pool_bench.BASE, at_a_time].ratio == 1
    for cost in costs:
        base = by_line[pool_bench.BASE, cost.at_a_time].nanoseconds
        assert cost.ratio == pytest.approx(cost.nanoseconds / base)
    assert [(cost.pool, cost.target) for cost in costs if cost.target] == [
        ("PagePool", 250), ("BulkPages, as bursts", 10)]
    bulk = by_line["BulkPages, as bursts", pool_bench.BULK]
    assert bulk.nanoseconds < by_line["PagePool", 1].nanoseconds / 4


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = pool_bench.Cost("PagePool", 1, 200.0, 4.0, 250)
    missed = pool_bench.Cost("BulkPages", 64, 11.0, 0.2, 10)
    out = io.StringIO()
    path = tmp_path / "new" / "pool.json"
    for costs, status in (([kept], 0), ([kept, missed], 1)):
        monkeypatch.setattr(pool_bench, "measure", lambda turns, costs=costs: costs)
        assert pool_bench.run(path, True, Console(file=out, width=100)) == status
        assert [line["pool"] for line in json.loads(path.read_text())] == [c.pool for c in costs]
    assert "11.0" in out.getvalue()
    with pytest.raises(PageringError, match=r"cannot be written: .*; choose another place with "
                                            r"--output$"):
        pool_bench.run(tmp_path, True, Console(file=out))
