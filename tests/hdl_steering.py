"""Steering with its registers, as the engine wires them, beside the twin; and flows to steer."""

from __future__ import annotations

import random
from dataclasses import asdict
from typing import Any

from amaranth.hdl import Elaboratable, Module
from amaranth.lib import wiring

from hdl_streams import config
from pagering import abi
from pagering.abi import L3, L4, SteeringMode
from pagering.dissect import Dissection, Facts, FlowKey
from pagering.fake_steering import FakeSteering
from pagering_hdl.steer_registers import SteerRegisters
from pagering_hdl.steering import Steering

__all__ = ["QUEUES", "Steered", "dissection", "expected", "mode", "payload", "random_flow",
           "random_rule", "seen"]

QUEUES = 4
ADDRESSES = (0x0A000001, 0x0A000002, 0xC0A80001, 0x0A000001 << 96 | 1, 1 << 127 | 0x0A000001)
PORTS = (80, 443, 4791, 0)
MACS = (0x020000000001, 0x020000000002, 0x01005E000001, 0x3333FF000001, (1 << 48) - 1)
PROTOCOLS = {L4.TCP: 6, L4.UDP: 17, L4.SCTP: 132, L4.ICMP: 1, L4.OTHER: 89}


class Steered(Elaboratable):
    """The part under test, and all that the host does to it done to its twin too."""

    def __init__(self, bus_bits: int = 64, depth: int = 512) -> None:
        self.card = Steering(bus_bits, depth)
        self.registers = SteerRegisters(config(queues=QUEUES))
        self.twin = FakeSteering(QUEUES)

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.card, m.submodules.registers = self.card, self.registers
        wiring.connect(m, self.registers.settings, self.card.settings)
        return m

    async def ready(self, ctx: Any) -> None:
        """Wait until all tables are cleared."""
        await ctx.tick().repeat(16 * abi.RULES + 2)

    async def write(self, ctx: Any, name: str, **fields: int) -> bool:
        """Write a register of both; return whether it was taken."""
        port = self.registers.port
        ctx.set(port.write_offset, abi.STEER[name].offset)
        ctx.set(port.data, abi.STEER[name].pack(**fields))
        ctx.set(port.write, 1)
        refused, = await ctx.tick().sample(self.registers.refusal.valid).until(port.ready)
        ctx.set(port.write, 0)
        taken = self.twin.write(name, abi.STEER[name].unpack(abi.STEER[name].pack(**fields)))
        assert taken == (not refused), f"{name} {fields}"
        return taken

    async def read(self, ctx: Any, name: str) -> dict[str, int]:
        """Read a register of both, which agree."""
        await ctx.tick().repeat(4)
        ctx.set(self.registers.port.read_offset, abi.STEER[name].offset)
        await ctx.tick()
        fields = abi.STEER[name].unpack(ctx.get(self.registers.port.value))
        assert fields == self.twin.read(name), name
        return fields

    async def row(self, ctx: Any, row: int, word: int = 0) -> None:
        await self.write(ctx, "ROW", row=row, word=word)

    async def table(self, ctx: Any, name: str, row: int, **fields: int) -> bool:
        """Write a row of a table."""
        await self.row(ctx, row)
        return await self.write(ctx, name, **fields)

    async def rule(self, ctx: Any, number: int, **fields: int) -> None:
        """Take a rule off, write it, put it in place, and wait until it is."""
        await self.row(ctx, number)
        await self.write(ctx, "RULE", enable=0)
        words = abi.RULE.pack(**fields)
        for word in range(abi.RULE_WORDS):
            await self.row(ctx, number, word)
            await self.write(ctx, "RULE_WORD", value=words >> 32 * word & 0xFFFFFFFF)
        await self.write(ctx, "RULE", enable=1)
        ctx.set(self.registers.port.read_offset, abi.STEER["RULE"].offset)
        await ctx.tick().until(self.registers.port.value == 1)

    async def key(self, ctx: Any, key: bytes) -> None:
        for row in range(abi.KEY_WORDS):
            await self.table(ctx, "KEY", row, key=int.from_bytes(key[4 * row:4 * row + 4], "big"))
        await self.row(ctx, 0)  # which waits until the key is in its place


def dissection(*, destination: int = MACS[0], length: int = 64, flow: FlowKey | None = None,
               **facts: Any) -> Dissection:
    """Return what the dissector finds in a frame."""
    return Dissection(length, destination, flow or FlowKey(), Facts(**facts))


def payload(found: Dissection) -> dict[str, Any]:
    """Return a dissection as the card has it."""
    return {"length": found.length, "destination": found.destination, "flow": asdict(found.flow),
            "facts": asdict(found.facts)}


def random_flow(rng: random.Random) -> Dissection:
    """Return one of few flows, so that rules and filters often mean it."""
    l3 = rng.choice((L3.IPV4, L3.IPV4, L3.IPV6, L3.IPV6, L3.ARP, L3.OTHER))
    facts: dict[str, Any] = {"l3": l3, "vlan": rng.random() < 0.4}
    if facts["vlan"]:
        facts["tci"] = rng.choice((1, 2, 0x2001, 4095))
    flow = FlowKey()
    if l3 in (L3.IPV4, L3.IPV6):
        l4, fragment = rng.choice(list(L4)), rng.random() < 0.2
        ports = l4 in (L4.TCP, L4.UDP, L4.SCTP) and not fragment
        mask = (1 << (32 if l3 is L3.IPV4 else 128)) - 1
        flow = FlowKey(rng.choice(ADDRESSES) & mask, rng.choice(ADDRESSES) & mask,
                       rng.choice(PORTS) if ports else 0, rng.choice(PORTS) if ports else 0,
                       PROTOCOLS[l4])
        facts |= {"l4": l4, "fragment": fragment, "checksum": rng.getrandbits(16)}
    return dissection(destination=rng.choice(MACS), length=rng.randint(1, 9600), flow=flow,
                      **facts)


def random_rule(rng: random.Random) -> dict[str, int]:
    """Return the fields of a rule that is possible."""
    l3 = rng.choice((L3.IPV4, L3.IPV6))
    match = {f"match_{name}": int(rng.random() < 0.4)
             for name in ("source", "destination", "source_port", "destination_port", "protocol",
                          "vlan")}
    address = match["match_source"] or match["match_destination"]
    drop = rng.random() < 0.2
    return {
        "source": rng.choice(ADDRESSES), "destination": rng.choice(ADDRESSES),
        "source_port": rng.choice(PORTS), "destination_port": rng.choice(PORTS),
        "protocol": rng.choice(list(PROTOCOLS.values())), "vlan": rng.choice((1, 2, 4095)),
        "l3": l3, "match_l3": int(bool(address) or rng.random() < 0.5), "drop": int(drop),
        "queue": 63 if drop else rng.randrange(QUEUES), "mark": rng.getrandbits(16), **match}


def expected(twin: FakeSteering, found: Dissection) -> dict[str, Any]:
    """Return what arrives of a frame, by the twin."""
    steered = twin.steer(found)
    facts = payload(found)["facts"]
    return {
        "queue": steered.queue, "length": found.length, "drop": int(steered.cause is not None),
        "cause": None if steered.cause is None else int(steered.cause),
        "facts": {name: int(value) for name, value in {
            **facts, "hash": steered.hash, "hash_type": steered.hash_type,
            "mark": steered.mark}.items()}}


def seen(arrival: dict[str, Any], known: dict[str, Any]) -> dict[str, Any]:
    """Return an arrival as :func:`expected` says it."""
    return {**arrival, "cause": int(arrival["cause"]) if arrival["drop"] else None,
            "facts": {name: int(arrival["facts"][name]) for name in known["facts"]}}


def mode(dut: Steered, ctx: Any, **control: int) -> None:
    """Set CARD.STEERING of both."""
    ctx.set(dut.card.control, control)
    twin = dut.twin
    twin.mode = SteeringMode(control["mode"])
    twin.queue, twin.last = control.get("queue", 0), control.get("last", 0)
