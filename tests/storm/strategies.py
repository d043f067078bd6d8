"""What Hypothesis makes programs of: which operations there are, and how often each comes."""

from __future__ import annotations

from hypothesis import strategies as st

from . import control_operations as control
from . import steer_operations as steer
from . import traffic_operations as traffic
from .operation import Operation

__all__ = ["programs"]

_SMALL = st.integers(0, 63)
_EIGHTHS = st.sampled_from((0, 0, 0, 1, 3, 6))
_QUIET = st.sampled_from((False, True, True))
_OFTEN = st.sampled_from((True, True, True, False))
_FEW = st.sampled_from((65536, 65536, 65536, 65536, 65536, 65536, 0, 1, 2, 3, 5, 8, 12))


def _steering() -> list[st.SearchStrategy[Operation]]:
    """Return operations that steer real packets."""
    return [
        st.builds(steer.Hash, transform=st.integers(0, 2), tcp=st.booleans(), udp=st.booleans(),
                  key=st.integers(0, 2), quiet=_QUIET),
        *[st.builds(steer.Spread, first=st.integers(0, 127), count=st.sampled_from((1, 40)),
                    queue=_SMALL, quiet=_QUIET)] * 3,
        *[st.builds(steer.Rule, number=st.integers(0, 63), pick=_SMALL,
                    match=st.sampled_from((1, 3, 7, 31, 32, 33, 64, 127)),
                    queue=_SMALL, drop=st.booleans(), quiet=_QUIET)] * 4,
        st.builds(steer.Rule, number=st.integers(0, 63), pick=_SMALL, queue=_SMALL, quiet=_QUIET),
        st.builds(steer.RuleOff, number=st.integers(0, 63), quiet=_QUIET),
        *[st.builds(steer.Filter, promiscuous=st.booleans(), all_multicast=st.booleans(),
                    broadcast=st.booleans(), vlan=st.booleans(), untagged=st.booleans(),
                    quiet=_QUIET)] * 2,
        *[st.builds(steer.Filter, quiet=_QUIET)] * 2,
        *[st.builds(steer.Accept, kind=st.integers(0, 2), pick=_SMALL, row=st.integers(0, 7),
                    quiet=_QUIET)] * 2,
    ]


def _operations() -> st.SearchStrategy[Operation]:
    """Return one operation; those that bring frames are by far the most frequent."""
    frames = st.builds(
        traffic.Frames, count=st.sampled_from((1, 4, 16, 60, 120, 240)),
        sizes=st.sampled_from((0, 0, 0, 1, 2, 3, 4, 4, 4, 4)),
        bad=st.sampled_from((0, 0, 0, 4)), holes=st.sampled_from((0, 0, 0, 2)))
    others: tuple[st.SearchStrategy[Operation], ...] = (
        st.builds(traffic.Run, st.sampled_from((1, 7, 40, 150, 500))),
        st.builds(traffic.Settle),
        st.builds(traffic.Host, every=st.sampled_from((5, 20, 60)),
                  keep=st.sampled_from((0, 0, 2, 9, 40)), order=st.integers(0, 2),
                  merge=st.booleans(), split=st.booleans(),
                  lazy=st.sampled_from((False, False, False, True)), pull=_OFTEN),
        *[st.builds(traffic.Forge, kind=st.integers(0, 4), pick=_SMALL, count=st.integers(1, 4),
                    pull=st.booleans())] * 6,
        *[st.builds(traffic.Arm, queue=_SMALL, behind=st.sampled_from((0, 0, 1)))] * 3,
        st.builds(control.QueueOff, queue=_SMALL, wait=st.booleans()),
        st.builds(control.QueueOn, queue=_SMALL, pool=_SMALL, log2=st.integers(6, 8)),
        *[st.builds(control.QueueOn, queue=_SMALL, pool=_SMALL)] * 2,
        *[st.builds(control.QueueOn, queue=_SMALL, pool=_SMALL, log2=st.integers(6, 7),
                    again=st.just(True), extended=_OFTEN, split=_OFTEN, headers=_SMALL,
                    threshold=st.sampled_from((0, 0, 0, 100, 1000)),
                    pull=st.sampled_from((0, 4, 5, 6)), mirror=_OFTEN)] * 8,
        st.builds(control.PoolOff, pool=_SMALL, wait=st.booleans()),
        st.builds(control.PoolOn, pool=_SMALL, lifo=st.booleans(), mirror=st.booleans()),
        *[st.builds(control.PoolOn, pool=_SMALL)] * 3,
        st.builds(control.Replace, pool=_SMALL, regions=st.integers(1, 2), lifo=st.booleans()),
        st.builds(control.Register, pool=_SMALL),
        st.builds(control.Limit, pool=_SMALL, pages=_FEW),
        st.builds(control.Quota, queue=_SMALL, pages=_FEW),
        st.builds(control.LowWater, pool=_SMALL, enter=st.integers(0, 12), more=st.integers(0, 4)),
        st.builds(steer.Steer, queue=_SMALL, turns=st.sampled_from((False, True, True)),
                  quiet=_QUIET),
        *[st.builds(steer.Steer, queue=st.just(0), rss=st.just(True), quiet=_QUIET)] * 3,
        *_steering(),
        *[st.builds(control.Hold, queue=_SMALL, hold=_OFTEN)] * 2,
        *[st.builds(control.Moderate, queue=_SMALL, time=st.sampled_from((0, 0, 1, 3)),
                    completions=st.sampled_from((0, 0, 1, 3, 20)))] * 2,
        st.builds(control.Force, queue=_SMALL),
        st.builds(control.MirrorTimer, st.sampled_from((0, 16, 64, 400))),
        st.builds(traffic.Gate, receive=st.sampled_from((True, True, True, False)),
                  drop_when_full=st.booleans(), minimum=st.sampled_from((1, 1, 60)),
                  maximum=st.sampled_from((0xFFFF, 0xFFFF, 1518, 100))),
        *[st.builds(traffic.Gate)] * 3,
        st.builds(traffic.Flush, st.sampled_from((1, 16, 256))),
        st.builds(traffic.Events, clear=st.integers(0, 7), enable=st.integers(0, 7)),
        st.builds(traffic.Memory, latency=st.sampled_from((2, 4, 64, 250)),
                  jitter=st.sampled_from((0, 0, 30)),
                  address=_EIGHTHS, data=_EIGHTHS, response=_EIGHTHS),
        *[st.builds(traffic.Memory)] * 3,
        st.builds(traffic.Gaps, _EIGHTHS),
        st.builds(traffic.BusError, skip=st.integers(0, 60), count=st.integers(1, 2)),
        *[st.builds(traffic.ReadError, queue=_SMALL, count=st.sampled_from((1, 5, 20, 40)),
                    skip=st.sampled_from((0, 0, 1)))] * 4,
        *[st.builds(traffic.Misuse, kind=st.integers(0, 6), index=_SMALL)] * 4,
        st.builds(control.Reset),
    )
    # By number: one_of() would take the same strategy twice for one.
    table = (*[frames] * 24, *others)
    return st.integers(0, len(table) - 1).flatmap(table.__getitem__)


def programs() -> st.SearchStrategy[list[Operation]]:
    """Return programs, most of some dozens of operations."""
    # Lists of lists: a plain list would have six operations on average.
    return st.lists(st.lists(_operations(), max_size=12), min_size=1, max_size=12).map(
        lambda parts: [operation for part in parts for operation in part])
