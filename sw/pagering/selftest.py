"""``pagering selftest``: is this card, its memory and its interrupts all right?

Each check starts from a card that was reset. What a card does by itself is tested on every one:
registers, what it reads from and writes to host memory, interrupts, refusals. Frames are tested
where somebody can bring them to the wire; theirs have an EtherType for experiments, and what else
comes in meanwhile is let go.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table
from rich.text import Text

from pagering import abi
from pagering.card import Card
from pagering.devices import Device
from pagering.errors import CardError, PageringError
from pagering.polling import wait_until
from pagering.rx_queue import RxQueue
from pagering.transport import Transport

__all__ = ["CHECKS", "Outcome", "Verdict", "check", "report"]

_WAIT_S = 1.0
_NO_PAGE = abi.TOKEN.pack(page=(1 << abi.PAGE_ID_BITS) - 1)
"""A token of a page that no card has registered: its last one, which the checks leave out."""
_HEADER = bytes.fromhex("ff ff ff ff ff ff  02 00 00 00 00 01  88 b5")
_RING = 64
_GRANULE = 4096


class Verdict(enum.Enum):
    """How a check ended."""

    OK = "ok"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class Outcome:
    """A check that was made."""

    name: str
    verdict: Verdict
    text: str
    """What was found, or what is wrong."""


class _Skipped(Exception):
    """The check does not apply to this card."""


def _require(good: bool, sentence: str) -> None:
    if not good:
        raise CardError(sentence)


def _await(card: Card, done: Callable[[], bool], what: str) -> None:
    """Wait for something in host memory, a register read before each look.

    What was written to registers has arrived by then, and a simulated card's time has passed.
    """
    def look() -> bool:
        card.registers.card.STATUS.word()
        return done()
    wait_until(look, what, "check the IOMMU and bus mastering", _WAIT_S)


def _identity(card: Card, _: Device) -> str:
    caps = card.capabilities
    version = card.registers.card.VERSION.read()
    return (f"version {version['major']}.{version['minor']}, {caps.queues} queues, {caps.pools} "
            f"pools, {caps.regions * caps.region_pages} pages of {caps.page_bytes} bytes")


def _registers(card: Card, _: Device) -> str:
    """Every bit of a word, then a word of its own in each queue, read back when all are written."""
    scratch = card.registers.card.SCRATCH
    patterns = [0, 0xFFFFFFFF, *(1 << bit for bit in range(32)), 0x55555555, 0xAAAAAAAA]
    for pattern in patterns:
        scratch.write_word(pattern)
        found = scratch.word()
        _require(found == pattern, f"SCRATCH reads {found:#010x} after {pattern:#010x} was written")
    queues = [card.registers.queue(index) for index in range(card.capabilities.queues)]
    for index, queue in enumerate(queues):
        queue.RING_HIGH.write(address=0x01010101 * (index + 1) & 0xFFFFFFFF)
    for index, queue in enumerate(queues):
        expected, found = 0x01010101 * (index + 1) & 0xFFFFFFFF, queue.RING_HIGH.word()
        _require(found == expected, f"RING_HIGH of queue {index} reads {found:#010x}, not the "
                                    f"{expected:#010x} that was written")
        queue.RING_HIGH.write(address=0)
    return f"{len(patterns)} patterns, {len(queues)} queues apart"


def _pool_memory(card: Card, _: Device) -> str:
    """The card registers memory and writes its counts to the host by itself."""
    try:
        pool = card.add_pool(mirror=True)
    except CardError as error:
        if card.registers.card.CAP_FEATURES.get("pool_watch"):
            raise
        raise _Skipped("this card writes no counts") from error
    pages = pool.registered
    _await(card, lambda: pool.free_cached == pages, "the card has written its count of free pages")
    return f"{pages} pages registered, counts arrived in host memory"


def _returns(card: Card, _: Device) -> str:
    """The card fetches tokens from host memory, refuses each, and says how far it is."""
    if not card.registers.card.CAP_FEATURES.get("pull_returns"):
        raise _Skipped("this card fetches no tokens")
    queue = card.add_queue(card.add_pool(), _RING, returns="pull")
    before = card.faults()["return_page"]
    for _turn in range(3):  # round the ring
        queue.give_back([_NO_PAGE] * (_RING - 5))
        _await(card, lambda: queue.returns.waiting == 0,
               "the card has fetched the returned tokens")
    refused = card.faults()["return_page"] - before
    _require(refused == 3 * (_RING - 5), f"the card fetched {3 * (_RING - 5)} false tokens and "
                                         f"refused {refused}")
    return f"{refused} tokens fetched, each refused as it must be"


def _interrupts(card: Card, _: Device) -> str:
    pool = card.add_pool()
    queues = [card.add_queue(pool, _RING) for _ in range(card.capabilities.queues)]
    transport = card.transport
    for queue in queues:
        queue.force_interrupt()
        _require(not transport.wait_interrupt(queue.index, 0.001),
                 f"vector {queue.index} fired without being armed")
        queue.arm()
        _require(transport.wait_interrupt(queue.index, _WAIT_S),
                 f"vector {queue.index} was forced and did not fire within {_WAIT_S:g} s; check "
                 f"MSI-X and the interrupt's routing")
        _require(not transport.wait_interrupt(queue.index, 0.001),
                 f"vector {queue.index} fired twice for one arming")
    return f"{len(queues)} vectors, once for each arming"


def _events(card: Card, _: Device) -> str:
    card.enable_events(abi.Event.FAULT)
    card.transport.write32(card.registers.card.ID.offset, 0)
    found = card.wait_event(_WAIT_S)
    _require(found == {abi.Event.FAULT}, f"a refused write raised the events "
                                         f"{sorted(event.name for event in found)}, not FAULT")
    card.clear_events()
    _require(not card.events(), "an event that was cleared is still there")
    return "a fault raised the last vector"


def _faults(card: Card, _: Device) -> str:
    """What must be refused is refused, counted under its own cause, and changes nothing."""
    pool = card.add_pool()
    queue = card.add_queue(pool, _RING)
    free = pool.free
    row = card.registers.region(card.capabilities.regions - 1)
    acts: dict[str, Callable[[], object]] = {
        "return_page": lambda: queue.give_back([_NO_PAGE]),
        "register_access": lambda: card.transport.write32(card.registers.card.ID.offset, 1),
        "register_value": lambda: card.registers.queue(queue.index).RING_SIZE.write(log2=7),
    }
    if card.capabilities.region_bytes > _GRANULE and row.get("valid") == 0:
        acts["region_alignment"] = lambda: row.write(valid=1, address=1)
    for name, act in acts.items():
        _provoke(card, name, act)
    _require(pool.free == free, "a refused request has changed the pool")
    return f"{len(acts)} refusals, each counted as what it is"


def _provoke(card: Card, name: str, act: Callable[[], object]) -> None:
    before = card.faults()
    act()
    found = {fault: count - before[fault] for fault, count in card.faults().items()
             if count != before[fault]}
    _require(found == {name: 1}, f"instead of one fault {name} the card counted {found}")


def _frames(card: Card, device: Device) -> str:
    """Patterns through the data path, often enough to go round ring and pages twice."""
    if device.send is None:
        raise _Skipped("nobody here can bring frames to the wire")
    pool = card.add_pool()
    queue = card.add_queue(pool, _RING)
    card.steer_to(queue)
    card.receive = True
    caps, count = card.capabilities, 0
    longest = min(caps.frame_bytes, max(1, pool.registered // 2) * caps.page_bytes)
    for frame in _patterns(longest, 2 * max(_RING, pool.registered)):
        device.send(frame)
        _require(_arrives(queue, frame), f"frame {count}, {len(frame)} bytes of "
                                         f"{frame[len(_HEADER):len(_HEADER) + 4].hex()}, did not "
                                         f"arrive as it was sent")
        count += 1
    _require(not any(card.faults().values()), f"faults meanwhile: {card.faults()}")
    queue.close()
    wait_until(lambda: pool.free == pool.registered, f"all {pool.registered} pages have come back",
               "look for a page that is returned in part", _WAIT_S)
    return f"{count} frames, every byte right, all pages back"


def _patterns(longest: int, least: int) -> Iterator[bytes]:
    fills = [bytes((value,)) for value in (0x00, 0xFF, 0x55, 0xAA, *(1 << bit for bit in range(8)))]
    fills.append(bytes(range(256)))
    sizes = [size for size in (60, 61, 63, 64, 65, 127, 255, 256, 257, 1023, 1024, 1025, 1514,
                               4095, 4096, 4097, 9000) if size <= longest]
    made = 0
    while made < least or made < len(fills) * len(sizes):
        fill = fills[made % len(fills)]
        size = sizes[made // len(fills) % len(sizes)] - len(_HEADER)
        yield _HEADER + (fill * (size // len(fill) + 1))[:size]
        made += 1


def _arrives(queue: RxQueue, frame: bytes) -> bool:
    """Return whether the next frame of ours is this one."""
    for _ in range(1000):
        with queue.recv(1, timeout=_WAIT_S) as burst:
            if not burst:
                return False
            data = bytes(burst[0])
            if data[12:14] == _HEADER[12:14]:
                return data == frame
    return False


CHECKS: Mapping[str, Callable[[Card, Device], str]] = {
    "identity": _identity, "registers": _registers, "pool memory": _pool_memory,
    "returned tokens": _returns, "interrupts": _interrupts, "events": _events, "faults": _faults,
    "frames": _frames,
}


class _Kept:
    """A transport that stays open when its card is closed: the next check opens it again."""

    def __init__(self, transport: Transport) -> None:
        self.read32, self.write32 = transport.read32, transport.write32
        self.write_tokens, self.allocate = transport.write_tokens, transport.allocate
        self.wait_interrupt = transport.wait_interrupt

    def close(self) -> None:
        """Do nothing."""


def check(device: Device) -> Iterator[Outcome]:
    """Make all checks, one after the other; then close the device."""
    try:
        for name, make in CHECKS.items():
            yield _outcome(name, make, device)
    finally:
        device.transport.close()


def _outcome(name: str, make: Callable[[Card, Device], str], device: Device) -> Outcome:
    try:
        with Card(_Kept(device.transport)) as card:
            text = make(card, device)
    except _Skipped as reason:
        return Outcome(name, Verdict.SKIPPED, str(reason))
    except PageringError as error:
        return Outcome(name, Verdict.FAILED, str(error))
    return Outcome(name, Verdict.OK, text)


def report(outcomes: Sequence[Outcome], console: Console | None = None) -> int:
    """Print how the checks ended; return 1 if one failed, else 0."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("", "check", "found"):
        table.add_column(title, overflow="fold")
    styles = {Verdict.OK: "green", Verdict.FAILED: "red", Verdict.SKIPPED: "yellow"}
    for outcome in outcomes:
        table.add_row(Text(outcome.verdict.value, style=styles[outcome.verdict]),
                      Text(outcome.name), Text(outcome.text))
    (console or Console()).print(table)
    return int(any(outcome.verdict is Verdict.FAILED for outcome in outcomes))
