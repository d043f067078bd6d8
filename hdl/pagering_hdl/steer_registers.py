"""The registers of steering: settings, and the tables a row at a time."""

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from pagering import abi

from .flow_rules import RuleAccess
from .layouts import L3, Fault, struct
from .page_table import Refusal
from .register_port import RegisterPort, masked
from .rule_writer import RuleTail
from .shared_table import TableAccess

__all__ = ["SteerRegisters", "SteerSettings"]

ROWS = {"KEY": abi.KEY_WORDS, "INDIRECTION": abi.INDIRECTION_ROWS, "VLANS": abi.VLAN_ROWS,
        "ADDRESS_LOW": abi.ADDRESSES, "ADDRESS_HIGH": abi.ADDRESSES}
"""Rows of each table that a register of its name reaches."""


class SteerSettings(wiring.Signature):
    """What the host sets for steering, as the registers drive it.

    Members: ``rss``, ``filter`` and ``multicast``; the host's side of each table, by its register's
    name; ``rules``; and ``waits``: a table is wanted by somebody who has to give way to lookups.
    """

    def __init__(self):
        super().__init__({
            "rss": Out(struct(abi.STEER["RSS"])), "filter": Out(struct(abi.STEER["FILTER"])),
            "multicast": Out(64),
            **{name.lower(): Out(TableAccess(range(rows), abi.STEER[name].named[-1].lsb
                                             + abi.STEER[name].named[-1].width))
               for name, rows in ROWS.items()},
            "rules": Out(RuleAccess()), "waits": Out(1),
        })


class SteerRegisters(wiring.Component):
    """The registers of block STEER.

    Members
    -------
    port : :py:`In(RegisterPort())`
    settings : :py:`Out(SteerSettings())`
    refusal : :py:`Out(Refusal)`
    """

    def __init__(self, config):
        self.config = config
        super().__init__({"port": In(RegisterPort()), "settings": Out(SteerSettings()),
                          "refusal": Out(Refusal)})

    def elaborate(self, platform):
        m = Module()
        port, settings = self.port, self.settings
        plain = {name: Signal(32, name=name.lower(), init=abi.STEER[name].reset)
                 for name in ("RSS", "FILTER", "MULTICAST_0", "MULTICAST_1", "ROW")}
        self.place = Signal(struct(abi.STEER["ROW"]))
        # A write of a table is kept until the table is free; until then no other comes.
        self.value, self.posted = Signal(32), Signal(len(ROWS) + 1)
        refused = Signal()
        m.d.comb += [
            self.place.eq(plain["ROW"]), port.ready.eq(~self.posted.any()),
            settings.waits.eq(self.posted.any() | settings.rules.busy),
            settings.rss.eq(plain["RSS"]), settings.filter.eq(plain["FILTER"]),
            settings.multicast.eq(Cat(plain["MULTICAST_0"], plain["MULTICAST_1"])),
            refused.eq(self._wants("RSS") & (port.data[:2] > max(abi.Transform))),
            self.refusal.valid.eq(refused), self.refusal.fault.eq(Fault.REGISTER_VALUE),
        ]
        for name, value in plain.items():
            with m.If(self._wants(name) & ~refused):
                m.d.sync += value.eq(masked(abi.STEER[name], port.data))
            self._answer(m, name, value)
        for number, name in enumerate(ROWS):
            access = getattr(settings, name.lower())
            there = self.place.row < ROWS[name]
            bad = port.data[:6] >= self.config.queues if name == "INDIRECTION" else ~there
            m.d.comb += access.row.eq(self.place.row)
            self._post(m, name, number, access, bad, refused)
            self._answer(m, name, access.shown, there)
        self._rule_word(m, refused)
        self._rule(m, refused)
        return m

    def _wants(self, name):
        """Whether a register is being written now. The decoder lets no other offset through."""
        port = self.port
        return port.write & port.ready & (port.write_offset[:6] == abi.STEER[name].offset)

    def _answer(self, m, name, value, there=1):
        with m.If((self.port.read_offset[:6] == abi.STEER[name].offset) & there):
            m.d.comb += self.port.value.eq(value)

    def _post(self, m, name, number, access, bad, refused):
        """One register is a row of a table."""
        m.d.comb += [access.value.eq(self.value), access.write.eq(self.posted[number])]
        with m.If(access.free):
            m.d.sync += self.posted[number].eq(0)
        with m.If(self._wants(name)):
            m.d.comb += refused.eq(bad)
            m.d.sync += [self.value.eq(self.port.data), self.posted[number].eq(~bad)]

    def _rule_word(self, m, refused):
        rules, tail = self.settings.rules, Signal(RuleTail)
        looks = tail.looks
        there = (self.place.row < abi.RULES) & (self.place.word < abi.RULE_WORDS)
        ip = looks.match_l3 & ((looks.l3 == L3.IPV4) | (looks.l3 == L3.IPV6))
        last, bad = self.place.word == abi.RULE_WORDS - 1, Signal()
        m.d.comb += [
            tail.eq(self.port.data), rules.rule.eq(self.place.row),
            rules.words.row.eq(Cat(self.place.word, rules.rule)),
            bad.eq(~there | rules.locked | last & (
                ((looks.match_source | looks.match_destination) & ~ip)
                | (~tail.drop & (tail.queue >= self.config.queues)))),
        ]
        self._post(m, "RULE_WORD", len(ROWS), rules.words, bad, refused)
        self._answer(m, "RULE_WORD", rules.words.shown, there)

    def _rule(self, m, refused):
        port, rules = self.port, self.settings.rules
        there = self.place.row < abi.RULES
        bad = ~there | rules.busy
        with m.If(self._wants("RULE")):
            m.d.comb += [refused.eq(bad), rules.enable.eq(port.data[0] & ~bad),
                         rules.disable.eq(~port.data[0] & ~bad)]
        self._answer(m, "RULE", Cat(rules.enabled, rules.busy), there)
