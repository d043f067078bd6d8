"""The picture is drawn for any number of queues and samples, and the same run gives the same."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest
from matplotlib.image import imread

from pagering.errors import PageringError
from pagering_tb.picture import Samples, draw


def samples(count: int, queues: int) -> Samples:
    result = Samples()
    for number in range(count):
        held = [(number + queue) % 32 for queue in range(queues)]
        result.add(number * 10, [256 - pages for pages in held], held, sum(held) // 2)
    return result


def words(path: Path) -> str:
    """The words of an SVG: matplotlib keeps them as comments where it draws outlines."""
    ElementTree.parse(path)
    return path.read_text(encoding="utf-8")


@pytest.mark.parametrize(("count", "queues"), [(1, 1), (2, 4), (50, 8), (50, 9), (3000, 64)])
def test_draws_both_files(tmp_path: Path, count: int, queues: int) -> None:
    png, svg = tmp_path / "run.png", tmp_path / "run.svg"
    draw(samples(count, queues), png, svg, title="a run", clock_mhz=125.0)
    height, width, _ = imread(png).shape
    assert (width, height) == (1350, 750)
    text = words(svg)
    assert "a run" in text
    assert "outstanding" in text
    assert ("queue 0" in text) == (queues <= 8)
    assert svg.stat().st_size < 1_000_000


def test_same_run_gives_the_same_svg(tmp_path: Path) -> None:
    for name in ("one", "two"):
        draw(samples(20, 2), tmp_path / f"{name}.png", tmp_path / f"{name}.svg")
    assert (tmp_path / "one.svg").read_bytes() == (tmp_path / "two.svg").read_bytes()


def test_time_is_in_cycles_without_a_clock(tmp_path: Path) -> None:
    draw(samples(20, 2), tmp_path / "run.png", tmp_path / "run.svg")
    assert "clock cycles" in words(tmp_path / "run.svg")


def test_troubles_are_sentences(tmp_path: Path) -> None:
    with pytest.raises(PageringError, match="no sample was taken: the run has no picture"):
        draw(Samples(), tmp_path / "run.png", tmp_path / "run.svg")
    with pytest.raises(PageringError, match="cannot be written: No such file or directory"):
        draw(samples(2, 1), tmp_path / "missing" / "run.png", tmp_path / "run.svg")
