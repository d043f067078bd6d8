"""A saved GTKWave view for a recorded run: the card's ports, a group for each stream."""

from __future__ import annotations

from pathlib import Path

from vcd.gtkw import GTKWSave

from .simulators import TOP

__all__ = ["write_view"]

_GROUPS: dict[str, tuple[tuple[str, int], ...]] = {
    "receive stream": (("s_axis_rx_tvalid", 1), ("s_axis_rx_tready", 1), ("s_axis_rx_tlast", 1),
                       ("s_axis_rx_tuser", 1), ("s_axis_rx_tkeep", -8), ("s_axis_rx_tdata", -1)),
    "write address": (("m_axi_awvalid", 1), ("m_axi_awready", 1), ("m_axi_awlen", 8),
                      ("m_axi_awaddr", 64)),
    "write data": (("m_axi_wvalid", 1), ("m_axi_wready", 1), ("m_axi_wlast", 1),
                   ("m_axi_wstrb", -8), ("m_axi_wdata", -1)),
    "write response": (("m_axi_bvalid", 1), ("m_axi_bready", 1), ("m_axi_bresp", 2)),
    "register write": (("s_axil_awvalid", 1), ("s_axil_awready", 1), ("s_axil_awaddr", 20),
                       ("s_axil_wdata", 32), ("s_axil_bvalid", 1), ("s_axil_bresp", 2)),
    "register read": (("s_axil_arvalid", 1), ("s_axil_arready", 1), ("s_axil_araddr", 20),
                      ("s_axil_rvalid", 1), ("s_axil_rdata", 32), ("s_axil_rresp", 2)),
}
"""Signals and their widths; -1 stands for the bus width, -8 for an eighth of it."""


def write_view(path: Path, waves: Path, bus_bits: int, queues: int) -> None:
    """Write the view ``path`` of the trace ``waves``, which lies beside it."""
    with open(path, "w", encoding="utf-8") as file:
        view = GTKWSave(file)
        view.dumpfile(waves.name, abspath=False)
        view.treeopen(f"{TOP}.")
        view.signals_width(240)
        view.trace(f"{TOP}.clk")
        view.trace(f"{TOP}.rst")
        for group, signals in _GROUPS.items():
            with view.group(group):
                for name, width in signals:
                    bits = bus_bits // -width if width < 0 else width
                    view.trace(f"{TOP}.{name}" + (f"[{bits - 1}:0]" if bits > 1 else ""),
                               datafmt="hex")
        with view.group("signals to the host"):
            view.trace(f"{TOP}.irq[{queues}:0]", datafmt="bin")
            view.trace(f"{TOP}.pause_req")
