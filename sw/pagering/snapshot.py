"""All that a card counts, at one moment: for people, as JSON, and for Prometheus."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass

from pagering.card import Card

__all__ = ["Snapshot", "prometheus", "take"]


@dataclass(frozen=True)
class Snapshot:
    """Counts and levels by name; of queues and pools, by their number first."""

    card: Mapping[str, int]
    drops: Mapping[str, int]
    faults: Mapping[str, int]
    link: Mapping[str, int]
    sizes: Mapping[str, int]
    queues: Mapping[int, Mapping[str, int]]
    pools: Mapping[int, Mapping[str, int]]

    def to_json(self) -> dict[str, object]:
        """Return what :mod:`json` can write."""
        return asdict(self)


def take(card: Card) -> Snapshot:
    """Read everything. What a card without statistics does not count is left out."""
    counters = {name: value for name, value in card.counters().items()
                if not name.startswith(("drop_", "fault_", "size_"))}
    full = card.capabilities.statistics
    return Snapshot(
        card=counters, drops=card.drops(), faults=card.faults(),
        link=card.link_statistics() if full else {}, sizes=card.rmon_statistics() if full else {},
        queues={queue.index: {**(queue.statistics() if full else {}), "pages-held": queue.held,
                              "unread": queue.unread, "tokens-returned": queue.stats.returns}
                for queue in card.queues},
        pools={pool.index: {"registered": pool.registered, "free": pool.free,
                            "outstanding": pool.outstanding, "peak": pool.peak,
                            "low": int(pool.low_water)} for pool in card.pools})


def prometheus(snapshot: Snapshot) -> str:
    """Return the snapshot in Prometheus' text format, version 0.0.4."""
    lines: list[str] = []
    for name, kind, text, samples in _families(snapshot):
        lines += [f"# HELP pagering_{name} {text}", f"# TYPE pagering_{name} {kind}"]
        lines += [f"pagering_{name}{labels} {value}" for labels, value in samples]
    return "\n".join(lines) + "\n"


_Family = tuple[str, str, str, list[tuple[str, int]]]
_LEVELS = frozenset(("pages-held", "unread"))
"""Of a queue, what goes up and down."""


def _families(snapshot: Snapshot) -> Iterator[_Family]:
    for name, value in snapshot.card.items():
        yield f"{name}_total", "counter", f"The card's counter {name}.", [("", value)]
    for group, label, text in (("drops", "cause", "Frames that were dropped."),
                               ("faults", "fault", "What the card refused or met.")):
        samples = [(f'{{{label}="{name}"}}', value)
                   for name, value in getattr(snapshot, group).items()]
        yield f"{group}_total", "counter", text, samples
    for name, value in snapshot.link.items():
        yield (f"link_{name}_total", "counter", f"As {name} of rtnl_link_stats64.",
               [("", value)])
    if snapshot.sizes:
        yield ("frames_by_size_total", "counter", "Frames that came in by size in bytes, with FCS.",
               [(f'{{bytes="{size}"}}', value) for size, value in snapshot.sizes.items()])
    yield from _numbered("queue", snapshot.queues)
    yield from _numbered("pool", snapshot.pools)


def _numbered(what: str, rows: Mapping[int, Mapping[str, int]]) -> Iterator[_Family]:
    """Yield a family for each name that queues or pools have, with a sample for each of them."""
    for name in next(iter(rows.values()), {}):
        level = what == "pool" or name in _LEVELS
        metric = f"{what}_{name.replace('-', '_')}" + ("" if level else "_total")
        text = f"{name} of the {what}{', in pages' if what == 'pool' and name != 'low' else ''}."
        yield (metric, "gauge" if level else "counter", text,
               [(f'{{{what}="{index}"}}', row[name]) for index, row in rows.items()])
