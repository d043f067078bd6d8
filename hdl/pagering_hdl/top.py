"""The card as one module with the port names that other people's AXI models expect."""

from amaranth.hdl import Elaboratable, Module, ResetInserter, Shape, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import Flow

from .address_decoder import blocks
from .axi import AxiLite, AxiRead, AxiStream, AxiWrite
from .engine import Engine
from .flow_rules import RULE_ROWS
from .register_window import RegisterWindow
from .reset_control import ResetControl
from .statistics import counter_rows

__all__ = ["Top"]


class Top(Elaboratable):
    """Engine, register window and reset control, with flat ports.

    Attributes
    ----------
    ports : :class:`dict` of :class:`str` to :class:`Signal`
        ``s_axis_rx_*``, ``m_axi_*``, ``s_axil_*``, ``irq``, ``pause_req``, by port name.
        ``clk`` and ``rst`` come with the clock domain. ``rst`` does not end a frame: what
        ``s_axis_rx`` brings up to the next ``tlast`` is the rest of the one that was under way,
        and counts as CARD_DISABLED. Who resets the sender too should let it end its frame first.
    """

    def __init__(self, config):
        self.config = config
        self.ports = {}
        self._flat("s_axis_rx", AxiStream(config.bus_bits))
        self._flat("m_axi", AxiWrite(config.bus_bits))
        self._flat("m_axi", AxiRead(config.bus_bits))
        self._flat("s_axil", AxiLite())
        for name, width in (("irq", config.queues + 1), ("pause_req", 1)):
            self.ports[name] = Signal(width, name=name)

    def _flat(self, prefix, signature):
        for name, member in signature.members.items():
            self.ports[f"{prefix}_{name}"] = Signal(Shape.cast(member.shape),
                                                    name=f"{prefix}_{name}")

    def _connect(self, m, prefix, interface, signature, *, manager):
        """Join ports to an interface; ``manager`` if the card drives what a manager drives."""
        for name, member in signature.members.items():
            port, inner = self.ports[f"{prefix}_{name}"], Value.cast(getattr(interface, name))
            drives = (member.flow is Flow.Out) == manager
            m.d.comb += port.eq(inner) if drives else inner.eq(port)

    def elaborate(self, platform):
        m = Module()
        config = self.config
        self.engine = engine = Engine(config)
        m.submodules.window = window = RegisterWindow(config)
        m.submodules.reset = self.reset = reset = ResetControl(
            max(RULE_ROWS, 8 * config.queues, 2 * config.pools, config.regions,
                counter_rows(config)))
        m.submodules.engine = ResetInserter(reset.clear)(engine)
        bits = config.bus_bits
        self._connect(m, "s_axis_rx", engine.frames, AxiStream(bits), manager=False)
        self._connect(m, "m_axi", engine.bus, AxiWrite(bits), manager=True)
        self._connect(m, "m_axi", engine.read_bus, AxiRead(bits), manager=True)
        self._connect(m, "s_axil", window.bus, AxiLite(), manager=False)
        for name in blocks(config):
            wiring.connect(m, getattr(window, name), getattr(engine, name))
        m.d.comb += [
            engine.closed.eq(reset.resetting), window.closed.eq(reset.resetting),
            engine.clearing.eq(reset.clearing), reset.request.eq(engine.reset),
            reset.idle.eq(engine.idle), reset.busy.eq(window.clearing),
            window.clear.eq(reset.clear), window.refused.eq(engine.refused),
            engine.access_refusal.eq(window.refusal),
            self.ports["irq"].eq(engine.irq), self.ports["pause_req"].eq(engine.pause),
        ]
        return m
