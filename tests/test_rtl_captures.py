"""Every capture of the shared folder through the RTL, with the shipped driver as its host.

They are other people's traffic: ARP, tunnels, fragments, FTP, VLANs. Each one goes through at one
bus width, the largest at the widest, so that all widths meet real frames and the tests stay short.
``$PAGERING_PCAPS`` names another folder to take.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from rich.console import Console

from pagering.capture import Capture, read_frames, write_frames
from pagering.errors import CaptureError
from pagering.sim_options import BUS_WIDTHS, SimOptions
from pagering_tb.sim import run

FOLDER = Path(os.environ.get("PAGERING_PCAPS")
              or Path(__file__).resolve().parents[2] / "shared" / "pcap")
CAPTURES = sorted(path for pattern in ("*.pcap", "*.pcapng") for path in FOLDER.glob(pattern))
NO_CAPTURES = f"there are no captures in {FOLDER}; name a folder with PAGERING_PCAPS"


def bus_bits(path: Path) -> int:
    """Return the width for a capture: 64 bits up to 64 KiB, then one step for each factor of 4."""
    steps = max(0, (path.stat().st_size >> 16).bit_length() + 1) // 2
    return BUS_WIDTHS[min(steps, len(BUS_WIDTHS) - 1)]


def whole_frames(path: Path, folder: Path) -> tuple[Path, Capture]:
    """Return a capture and its whole frames; if the snap length cut others, one without those."""
    capture = read_frames(path, allow_cut=True)
    if not capture.skipped:
        return path, capture
    with pytest.raises(CaptureError, match=r"was cut to \d+ of \d+ bytes by the snap length"):
        read_frames(path)
    write_frames(folder / "whole.pcap", capture.frames, capture.timestamps_ns)
    return folder / "whole.pcap", capture


@pytest.mark.slow
@pytest.mark.parametrize("path", [
    pytest.param(path, id=f"{path.stem}-{bus_bits(path)}") for path in CAPTURES
] or [pytest.param(None, marks=pytest.mark.skip(reason=NO_CAPTURES))])
def test_capture_is_delivered_byte_for_byte(path: Path, tmp_path: Path) -> None:
    source, capture = whole_frames(path, tmp_path)
    out = tmp_path / "out"
    status = run(SimOptions(pcap=source, out=out, bus_bits=bus_bits(path)).validate(),
                 Console(quiet=True))
    report = json.loads((out / "report.json").read_text(encoding="utf-8"))
    assert (status, report["ok"], report["problems"]) == (0, True, [])
    assert report["frames_in"] == report["frames_delivered"] == len(capture.frames)
    assert sum(report["drops"].values()) == sum(report["faults"].values()) == 0
    received = read_frames(out / "out.pcap")
    assert received.frames == capture.frames
    assert received.timestamps_ns == capture.timestamps_ns


def test_cut_frames_are_refused_and_left_out(tmp_path: Path) -> None:
    """What :func:`whole_frames` does, on a capture that surely has a cut frame."""
    path = tmp_path / "cut.pcap"
    write_frames(path, [b"a" * 60, b"b" * 60])
    data = bytearray(path.read_bytes())
    data[24 + 12:24 + 16] = (1500).to_bytes(4, "little")  # the first one was longer on the wire
    path.write_bytes(data)
    source, capture = whole_frames(path, tmp_path)
    assert (capture.frames, capture.skipped) == ([b"b" * 60], 1)
    assert read_frames(source).frames == capture.frames
