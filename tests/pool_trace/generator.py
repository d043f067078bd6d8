"""Random traces over pools of several shapes.

A trace is legal for the kernel, which checks nothing: no reference is dropped that is not there, no
page is used after it went back. It goes through phases in which more is taken than given back, and
the other way round, so that caches and rings run full and empty. Each pool is destroyed with pages
out, which come back late; then the next one is made.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from .trace import FLAG_MAP, FLAG_OWNER, FLAG_SYNC, Operation

__all__ = ["SHAPES", "Shape", "generate"]

_MAPPED = FLAG_MAP | FLAG_SYNC


@dataclass(frozen=True)
class Shape:
    """What the pools of a trace are like."""

    order: int = 0
    size: int = 0
    flags: int = 0
    nids: tuple[int, ...] = (-1,)
    """Memory nodes; with several the trace moves between them."""
    pools: int = 1
    cap: int = 300
    """Most slots in use."""
    burst: int = 40
    """Most pages taken or given back at once."""
    fragments: float = 1.0
    """How often pages are cut up, compared to the rest."""
    life: int = 500
    """Operations between a pool's creation and its end."""


SHAPES = {
    "ring-1": Shape(size=1),
    "ring-2-owner": Shape(size=2, flags=FLAG_OWNER),
    "ring-31": Shape(size=31, flags=_MAPPED),
    "ring-32": Shape(size=32, flags=FLAG_MAP),
    "ring-33-owner": Shape(size=33, flags=_MAPPED | FLAG_OWNER, cap=400),
    "ring-64": Shape(size=64, cap=400),
    "ring-1000-nodes": Shape(size=1000, nids=(-1, 0, 1), flags=_MAPPED, cap=600),
    "ring-default": Shape(cap=1600, burst=300, life=700),
    "ring-16384": Shape(size=16384, cap=20000, burst=2500, fragments=0.1, life=1000),
    "order-1": Shape(order=1, size=24, flags=_MAPPED, cap=100),
    "order-3-owner": Shape(order=3, size=40, flags=FLAG_OWNER, cap=100),
    "fragments": Shape(size=16, flags=_MAPPED | FLAG_OWNER, fragments=8.0),
    "fragments-few": Shape(size=16, flags=_MAPPED, fragments=8.0, cap=4, burst=2),
    "bulk-two-pools": Shape(size=20, pools=2, burst=8),
}
"""Named for what they stress."""


@dataclass(eq=False)
class _Page:
    pool: int
    cut: bool
    """Whether others may hold fragments of it."""
    slots: int = 1


@dataclass
class _State:
    shape: Shape
    rng: random.Random
    held: dict[int, _Page] = field(default_factory=dict)
    many: dict[int, int] = field(default_factory=dict)
    """References of the slots that may have several."""
    memory: set[int] = field(default_factory=set)
    """Slots with a memory reference."""
    growing: bool = True

    def free_slot(self, count: int = 1) -> int:
        """Return the first of ``count`` empty slots in a row."""
        taken = self.held.keys() | self.memory
        slot = 0
        while any(at in taken for at in range(slot, slot + count)):
            slot = max(at for at in range(slot, slot + count) if at in taken) + 1
        return slot

    def pick(self, single: bool = False) -> int | None:
        """Return a slot that holds a page."""
        choice = [slot for slot in self.held if not (single and slot in self.many)]
        return self.rng.choice(choice) if choice else None

    def lose(self, slot: int) -> None:
        """Empty a slot."""
        self.held.pop(slot).slots -= 1
        self.many.pop(slot, None)


def generate(shape: Shape, seed: int, count: int) -> Iterator[Operation]:
    """Yield at least ``count`` operations on pools of one shape, to the end of the last pool."""
    rng = random.Random(f"{seed} {shape}")
    done = 0
    while done < count:
        state = _State(shape, rng)
        for operation in (*_life(state, min(shape.life, count - done)), *_end(state)):
            yield operation
            done += 1


def _life(state: _State, count: int) -> Iterator[Operation]:
    shape, rng = state.shape, state.rng
    for pool in range(shape.pools):
        yield Operation("create", (pool, shape.order, shape.size, shape.nids[0], shape.flags))
    for _ in range(count):
        if rng.random() < 0.03:
            state.growing = not state.growing
        operation = None
        while operation is None:
            operation = _draw(state)
        yield operation


def _draw(state: _State) -> Operation | None:
    up, down = (4, 1) if state.growing else (1, 3)
    if len(state.held) + len(state.memory) >= state.shape.cap:
        up = 0
    cut = state.shape.fragments
    makers: dict[Callable[[_State], Operation | None], float] = {
        _alloc: up * 5, _allocs: up, _frag: up * cut, _fit: up * cut, _ref: up * cut / 4,
        _fragment: cut / 4, _split: up * cut / 4, _hold: up * 0.3,
        _put: down * 7, _puts: down, _bulk: down * 1.5, _unref: down, _drop: down * 0.2,
        _nid: 0.7 * (len(state.shape.nids) > 1),
    }
    return state.rng.choices(list(makers), list(makers.values()))[0](state)


def _pool(state: _State) -> int:
    return state.rng.randrange(state.shape.pools)


def _alloc(state: _State) -> Operation:
    pool, slot = _pool(state), state.free_slot()
    state.held[slot] = _Page(pool, cut=False)
    return Operation("alloc", (pool, slot))


def _allocs(state: _State) -> Operation:
    pool, count = _pool(state), state.rng.randint(2, state.shape.burst)
    slot = state.free_slot(count)
    for at in range(slot, slot + count):
        state.held[at] = _Page(pool, cut=False)
    return Operation("allocs", (pool, slot, count))


def _frag(state: _State) -> Operation:
    pool, slot = _pool(state), state.free_slot()
    most = 4096 << state.shape.order
    size = state.rng.choice((64, 1, 1000, most // 2, most // 3, most - 1, most))
    state.held[slot] = _Page(pool, cut=True)
    return Operation("frag", (pool, slot, size))


def _fit(state: _State) -> Operation:
    pool, slot = _pool(state), state.free_slot()
    most = 4096 << state.shape.order
    size = state.rng.randint(1, most) if state.rng.random() < 0.5 else state.rng.randint(1, 800)
    state.held[slot] = _Page(pool, cut=2 * size <= most)
    return Operation("fit", (pool, slot, size))


def _ref(state: _State) -> Operation | None:
    slot, target = state.pick(single=True), state.free_slot()
    if slot is None:
        return None
    page = state.held[target] = state.held[slot]
    page.slots += 1
    return Operation("ref", (slot, target))


def _fragment(state: _State) -> Operation | None:
    slot = state.pick(single=True)
    if slot is None or state.held[slot].cut or state.held[slot].slots > 1:
        return None
    count = state.rng.choice((1, 2, 3, 64, 1 << 20))
    state.held[slot].cut = True
    state.many[slot] = count
    return Operation("fragment", (slot, count))


def _split(state: _State) -> Operation | None:
    choice = [slot for slot, references in state.many.items() if references > 1]
    if not choice:
        return None
    slot, target = state.rng.choice(choice), state.free_slot()
    page = state.held[target] = state.held[slot]
    page.slots += 1
    state.many[slot] -= 1
    return Operation("split", (slot, target))


def _hold(state: _State) -> Operation | None:
    slot, target = state.pick(), state.free_slot()
    if slot is None:
        return None
    state.memory.add(target)
    return Operation("hold", (slot, target))


def _drop(state: _State) -> Operation | None:
    if not state.memory:
        return None
    slot = state.rng.choice(sorted(state.memory))
    state.memory.discard(slot)
    return Operation("drop", (slot,))


def _put(state: _State) -> Operation | None:
    slot = state.pick(single=True)
    if slot is None:
        return None
    state.lose(slot)
    return Operation("put", (slot, state.rng.choice((-1, 0, 64)), state.rng.randrange(2)))


def _puts(state: _State) -> Operation | None:
    slot = state.pick(single=True)
    if slot is None:
        return None
    end = slot
    while (end - slot < state.shape.burst and end in state.held and end not in state.many):
        state.lose(end)
        end += 1
    return Operation("puts", (slot, end - slot, -1, state.rng.randrange(2)))


def _bulk(state: _State) -> Operation | None:
    choice = [slot for slot in state.held if slot not in state.many]
    if not choice:
        return None
    slots = state.rng.sample(choice, min(len(choice), state.rng.randint(1, 16)))
    for slot in slots:
        state.lose(slot)
    return Operation("bulk", tuple(slots))


def _unref(state: _State) -> Operation | None:
    slot = state.pick()
    if slot is None:
        return None
    state.lose(slot)
    return Operation("unref", (slot, -1, state.rng.randrange(2)))


def _nid(state: _State) -> Operation:
    return Operation("nid", (_pool(state), state.rng.choice(state.shape.nids)))


def _end(state: _State) -> Iterator[Operation]:
    """Give the pools up with pages out, some of which come back before the next attempt."""
    rng = state.rng
    keep = rng.randrange(20)
    yield from _back(state, list(state.held)[keep:])
    for pool in range(state.shape.pools):
        if rng.random() < 0.3:
            yield Operation("user", (pool,))
            yield Operation("destroy", (pool,))
        yield Operation("destroy", (pool,))
    yield from _back(state, rng.sample(sorted(state.held), len(state.held) // 2))
    for pool in range(state.shape.pools):
        if any(page.pool == pool for page in state.held.values()):
            yield Operation("tick", (pool,))
    yield from _back(state, list(state.held))
    for slot in sorted(state.memory):
        yield Operation("drop", (slot,))


def _back(state: _State, slots: list[int]) -> Iterator[Operation]:
    """Give slots back, neighbours together."""
    at = 0
    while at < len(slots):
        end = at + 1
        if slots[at] in state.many:
            yield Operation("unref", (slots[at], -1, 0))
        else:
            while (end < len(slots) and slots[end] == slots[end - 1] + 1
                   and slots[end] not in state.many):
                end += 1
            yield Operation("puts", (slots[at], end - at, -1, 0))
        for slot in slots[at:end]:
            state.lose(slot)
        at = end
