"""Runs of the random test: builds a card, starts a simulation of it, fetches what it found."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pagering_hdl.config import CardConfig
from pagering_tb.build_cache import verilog_text
from pagering_tb.runner import Result, build_verilog, simulate

__all__ = ["CARDS", "Outcome", "build", "storm"]

CARDS: dict[str, dict[str, Any]] = {
    "64-bit": {"pools": 2, "pages": 64, "region_pages": 8, "fifo_bytes": 16384},
    "packed": {"bus_bits": 128, "queues": 3, "pools": 2, "pages": 64, "region_pages": 8,
               "chunk_bytes": 256, "fifo_bytes": 16384},
    "512-bit": {"bus_bits": 512, "pools": 3, "pages": 64, "region_pages": 8, "chunk_bytes": 64},
}


@dataclass(frozen=True)
class Outcome:
    """How a run ended."""

    result: Result
    frames: int = 0
    programs: int = 0
    reached: dict[str, int] = field(default_factory=dict)
    """By how much each counter of the card moved."""
    program: str = ""
    """The shortest program that failed, if one did."""

    def complaint(self, card: dict[str, Any], kept: Path) -> str:
        """Return what went wrong, and how to see it again; or nothing."""
        if self.result.ok:
            return ""
        what = "; ".join(self.result.failed.values()) or "the simulation ended without a result"
        if not self.program:
            return f"{what}\n{self.result.tail}"
        kept.write_text(json.dumps({"card": card, "program": json.loads(self.program)}, indent=1),
                        encoding="utf-8")
        return f"{what}\n{self.program}\nPAGERING_REPLAY={kept} runs it again"


def build(card: dict[str, Any]) -> Path:
    """Build a card whose assertions speak, but do not stop the simulation."""
    return build_verilog(verilog_text(CardConfig(**card)).replace("$finish;", ""))


def storm(where: Path, card: dict[str, Any], run_dir: Path, **job: Any) -> Outcome:
    """Run programs on a build; see :data:`storm.run.JOB_VARIABLE` for the ``job``."""
    found, report = run_dir / "program.json", run_dir / "report.json"
    result = simulate(where, "storm.run", run_dir=run_dir, extra={
        "PAGERING_STORM_JOB": json.dumps({
            "config": card, "found": str(found), "report": str(report), **job})})
    told = json.loads(report.read_text(encoding="utf-8")) if report.exists() else {}
    return Outcome(result, **told,
                   program=found.read_text(encoding="utf-8") if found.exists() else "")
