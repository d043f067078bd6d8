"""The picture of a run: where the pages were, over time.

Above, the pages on the recycle ring of each pool; below, the pages off the rings, stacked by the
queue that holds them, and how many of those are outstanding: with the host alone. The panels share
the clock, so that a ring that runs empty and the queue that emptied it line up.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from pagering.errors import PageringError

__all__ = ["Samples", "draw"]

_POINTS = 800
"""More than these would only thicken the line and the SVG."""
_LINES = 8
"""With more pools or queues than this, they are not named one by one."""
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#5b4a9c", "#7f7f7f")
"""Told apart with any colour vision (after Okabe and Ito)."""
_INK, _FAINT = "#24292f", "#8c959f"
_STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans", "font.size": 10, "svg.hashsalt": "pagering",
    "text.color": _INK, "axes.labelcolor": _INK, "xtick.color": _FAINT, "ytick.color": _FAINT,
    "xtick.labelcolor": _INK, "ytick.labelcolor": _INK,
}


@dataclass
class Samples:
    """Counts that were taken together, now and then: one entry of each list for each sample."""

    cycles: list[int] = field(default_factory=list)
    free: list[list[int]] = field(default_factory=list)
    """Pages on the ring of each pool."""
    held: list[list[int]] = field(default_factory=list)
    """Pages off the ring that each queue holds."""
    outstanding: list[int] = field(default_factory=list)
    """Pages that only the host holds, of all pools."""

    def add(self, cycle: int, free: Sequence[int], held: Sequence[int], outstanding: int) -> None:
        """Append one sample."""
        self.cycles.append(cycle)
        self.free.append(list(free))
        self.held.append(list(held))
        self.outstanding.append(outstanding)


def draw(samples: Samples, path_png: Path, path_svg: Path, *, title: str = "",
         clock_mhz: float | None = None) -> None:
    """Draw both panels to a PNG and an SVG.

    Parameters
    ----------
    clock_mhz
        Label the time in microseconds of this clock; without it, in cycles.

    Raises
    ------
    PageringError
        If there is no sample, or a file cannot be written.
    """
    if not samples.cycles:
        raise PageringError("no sample was taken: the run has no picture")
    chosen = _thin(len(samples.cycles))
    time = [samples.cycles[i] / (clock_mhz or 1) for i in chosen]
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(9, 5), layout="constrained")
        FigureCanvasAgg(figure)
        above, below = figure.subplots(2, sharex=True, height_ratios=(1, 1.25))
        _pools(above, time, [samples.free[i] for i in chosen])
        _queues(below, time, [samples.held[i] for i in chosen])
        below.plot(time, [samples.outstanding[i] for i in chosen], color=_INK, linewidth=1.3,
                   linestyle=(0, (3, 1.5)), drawstyle="steps-post", label="outstanding")
        _panel(above, "pages on the ring")
        _panel(below, "pages off the ring")
        below.set_xlabel("time in µs" if clock_mhz else "clock cycles")
        below.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
        if title:
            above.set_title(title, loc="left", fontsize=11, fontweight="bold")
        try:
            figure.savefig(path_png, dpi=150)
            # No date inside: the same run gives the same file.
            figure.savefig(path_svg, metadata={"Date": None})
        except OSError as error:
            raise PageringError(f"{error.filename or path_png} cannot be written: "
                                f"{error.strerror}") from error


def _thin(count: int) -> list[int]:
    """Return the samples to draw: all, or evenly spaced ones with the first and the last."""
    if count <= _POINTS:
        return list(range(count))
    return [i * (count - 1) // (_POINTS - 1) for i in range(_POINTS)]


def _pools(axes: Axes, time: Sequence[float], rows: Sequence[Sequence[int]]) -> None:
    """Draw a line for each pool, or if there are too many their mean and range."""
    pools = len(rows[0])
    if pools > _LINES:
        axes.fill_between(time, [min(row) for row in rows], [max(row) for row in rows], step="post",
                          color=_COLOURS[0], alpha=0.25, linewidth=0, label="fewest to most")
        axes.plot(time, [sum(row) / pools for row in rows], color=_COLOURS[0], linewidth=1.4,
                  drawstyle="steps-post", label=f"mean of {pools} pools")
        return
    for pool in range(pools):
        axes.plot(time, [row[pool] for row in rows], color=_COLOURS[pool], linewidth=1.4,
                  drawstyle="steps-post", label=f"pool {pool}")


def _queues(axes: Axes, time: Sequence[float], rows: Sequence[Sequence[int]]) -> None:
    """Stack the pages that the queues hold: the top edge is all pages off the rings."""
    queues = len(rows[0])
    many = queues > _LINES
    layers = [[sum(row)] if many else row for row in rows]
    labels = [f"{queues} queues"] if many else [f"queue {queue}" for queue in range(queues)]
    axes.stackplot(time, *zip(*layers, strict=True), labels=labels, colors=_COLOURS, alpha=0.75,
                   linewidth=0, step="post")


def _panel(axes: Axes, label: str) -> None:
    """Dress a panel: few marks, and the legend beside it, where it covers no line."""
    axes.set_ylabel(label)
    axes.margins(x=0, y=0.06)
    axes.set_ylim(0, max(axes.get_ylim()[1], 1))
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.grid(axis="y", color="#d0d7de", linewidth=0.6)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(_FAINT)
    axes.tick_params(length=0)
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.02), frameon=False, handlelength=1.4)
