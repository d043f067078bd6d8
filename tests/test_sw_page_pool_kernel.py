"""The page pool against Linux's own: recorded answers, and live ones where there is a kernel."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from pagering.page_pool import PagePool
from pagering.page_pool_fragments import PageFragments
from pagering.page_pool_idle import IdlePages
from pagering.page_pool_page import Page
from pagering.ptr_ring import PtrRing
from pool_trace.executor import Executor
from pool_trace.generator import SHAPES, generate
from pool_trace.guest import ask_kernel
from pool_trace.recorded import ANSWERS, Recorded, load, save
from pool_trace.trace import GONE_COUNTERS, Operation, parse
from pool_trace.written import WRITTEN

RECORDED = sorted(ANSWERS.glob("*.txt.xz"))
NONE = "no kernel's answers are recorded in tests/kernel/answers"


def first_difference(answers: tuple[str, ...]) -> str | None:
    """Run the operations of recorded answers, and tell where the Python pool answers otherwise."""
    for number, (theirs, ours) in enumerate(
            zip(answers, Executor().run(parse(answers)), strict=True), 1):
        if theirs != ours:
            return f"answer {number}\nkernel {theirs}\nours   {ours}"
    return None


@pytest.mark.skipif(not RECORDED, reason=NONE)
@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.name.partition(".")[0])
def test_agrees_with_the_kernel(path: Path) -> None:
    assert first_difference(load(path).answers) is None


@pytest.mark.skipif(not RECORDED, reason=NONE)
def test_recorded_answers_cover_what_they_should() -> None:
    """10,000 operations over all shapes, in which every counter moves and every result occurs."""
    recorded = {path.name.removesuffix(".txt.xz"): load(path) for path in RECORDED}
    assert recorded.keys() == SHAPES.keys() | WRITTEN.keys()
    answers = [line for each in recorded.values() for line in each.answers]
    assert len(answers) >= 10_000
    assert {operation.name for operation in parse(answers)} == {
        "create", "alloc", "allocs", "frag", "fit", "ref", "put", "puts", "bulk", "fragment",
        "split", "unref", "hold", "drop", "twice", "forget", "nid", "user", "destroy", "tick"}
    moved = [0] * len(GONE_COUNTERS)
    for line in answers:
        for pool in line.split(" | ")[1:]:
            values = map(int, pool.split()[:len(GONE_COUNTERS)])
            moved = [max(pair) for pair in zip(moved, values, strict=True)]
    assert min(moved) > 0, dict(zip(GONE_COUNTERS, moved, strict=True))
    ends = {line.partition(" = ")[2].split()[0] for line in answers if line.startswith("destroy")}
    assert ends == {"users", "left", "gone"}


# A comparison that finds no fault where there is one would be worth nothing --------------------

def empty_at_once(patch: pytest.MonkeyPatch) -> None:
    """A ring that empties its slots one by one has more room than the kernel's."""
    made = PtrRing.__init__

    def init(ring: PtrRing[Page], size: int) -> None:
        made(ring, size)
        ring._batch = 1
    patch.setattr(PtrRing, "__init__", init)


def refill_is_fast(patch: pytest.MonkeyPatch) -> None:
    """Count the page that a refill hands out as one from the cache."""
    refill = IdlePages.refill

    def counted(idle: IdlePages, nid: int) -> Page | None:
        page = refill(idle, nid)
        idle.stats.alloc_fast += page is not None
        return page
    patch.setattr(IdlePages, "refill", counted)


def first_come_first_served(patch: pytest.MonkeyPatch) -> None:
    """Move pages from the ring to the cache in the wrong order: only their names tell."""
    refill = IdlePages.refill

    def turned(idle: IdlePages, nid: int) -> Page | None:
        page = refill(idle, nid)
        if page is not None:
            idle.cache.insert(0, page)
            page = idle.cache.pop()
        return page
    patch.setattr(IdlePages, "refill", turned)


def bulk_counts_each(patch: pytest.MonkeyPatch) -> None:
    """Count a full ring once for each page of a bulk."""
    put_bulk = IdlePages.put_bulk

    def one_by_one(idle: IdlePages, pages: list[Page], direct: bool) -> None:
        for page in pages:
            put_bulk(idle, [page], direct)
    patch.setattr(IdlePages, "put_bulk", one_by_one)


def never_reuse(patch: pytest.MonkeyPatch) -> None:
    """Return a page whose fragments are all back, instead of opening it again."""
    def close(fragments: PageFragments, page: Page) -> None:
        if fragments._give_reserve_back(page):
            fragments._pool.put(page)
    patch.setattr(PageFragments, "_reuse", close)


def nobody_owns(patch: pytest.MonkeyPatch) -> None:
    """Take no return for direct that does not ask for it."""
    patch.setattr(PagePool, "_is_direct", lambda pool, asked: asked and not pool.destroy_cnt)


def any_node_will_do(patch: pytest.MonkeyPatch) -> None:
    """Waive nothing."""
    refill = IdlePages.refill

    def anywhere(idle: IdlePages, nid: int) -> Page | None:
        for page in filter(None, idle._ring._slots):
            page.nid = nid
        return refill(idle, nid)
    patch.setattr(IdlePages, "refill", anywhere)


@pytest.mark.skipif(not RECORDED, reason=NONE)
@pytest.mark.parametrize(("fault", "shape"), [
    (empty_at_once, "ring-64"), (refill_is_fast, "ring-32"), (first_come_first_served, "ring-31"),
    (bulk_counts_each, "bulk-two-pools"), (never_reuse, "fragments-few"),
    (nobody_owns, "ring-33-owner"), (any_node_will_do, "ring-1000-nodes"),
])
def test_a_fault_is_found(fault: Callable[[pytest.MonkeyPatch], None], shape: str,
                          monkeypatch: pytest.MonkeyPatch) -> None:
    answers = load(ANSWERS / f"{shape}.txt.xz").answers
    fault(monkeypatch)
    assert first_difference(answers) is not None


# The traces themselves -----------------------------------------------------------------------

@pytest.mark.parametrize("shape", SHAPES)
def test_random_traces_are_legal(shape: str) -> None:
    """The strict pool refuses none of the operations, and nothing is left mapped or in flight."""
    executor = Executor()
    for seed in (7, 8):
        for answer in executor.run(generate(SHAPES[shape], seed, 300)):
            assert "= none" not in answer
        for pool in executor.pools.values():
            assert pool.finished or pool.release_retry()
    assert not executor.device.live


def test_traces_are_repeatable() -> None:
    made = [list(generate(SHAPES["fragments"], 5, 200)) for _ in range(2)]
    assert made[0] == made[1]
    assert list(parse(map(str, made[0]))) == made[0]


@pytest.mark.parametrize(("line", "sentence"), [
    ("put 1", "^line 2 is no operation: 'put 1'$"),
    ("push 1 2 3", "^line 2 is no operation: 'push 1 2 3'$"),
    ("bulk" + " 1" * 17, "^line 2 is no operation: "),
    ("alloc 0 x", "^line 2 has a word where a number must be: 'alloc 0 x'$"),
])
def test_what_is_no_trace(line: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        list(parse(["# a comment", line]))


def test_recorded_files(tmp_path: Path) -> None:
    path, recorded = tmp_path / "x.txt.xz", Recorded("7.3 #1", ("alloc 0 1 = 3 | 1 2",))
    save(path, recorded)
    assert load(path) == recorded
    assert list(parse(load(path).answers)) == [Operation("alloc", (0, 1))]
    save(path, Recorded("7.3", ()))
    path.write_bytes(path.read_bytes())
    assert load(path).answers == ()


# A kernel that is asked now ------------------------------------------------------------------

@pytest.fixture
def live() -> tuple[Path, Path]:
    kernel, module = (os.environ.get(f"PAGERING_POOL_{what}") for what in ("KERNEL", "MODULE"))
    if kernel is None or module is None:
        pytest.skip("no kernel to ask: PAGERING_POOL_KERNEL and PAGERING_POOL_MODULE are not set")
    return Path(kernel), Path(module)


@pytest.mark.slow
def test_agrees_with_a_live_kernel(live: tuple[Path, Path]) -> None:
    seed = int.from_bytes(os.urandom(4))
    traces = {name: "".join(f"{operation}\n" for operation in generate(shape, seed, 400))
              for name, shape in SHAPES.items()}
    for name, recorded in ask_kernel(*live, traces).items():
        assert first_difference(recorded.answers) is None, f"{name}, seed {seed}"
