"""The simulation behind ``tests/test_rtl_random.py``: Hypothesis writes, the card runs programs.

Hypothesis is blocking code and runs in turns with the simulation. All programs of a run go through
one simulator, the card reset in between. A program that fails is shrunk by :mod:`storm.shrink`; its
shortest form is left in a file, from which it can be run again alone.
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

import cocotb
from cocotb.handle import HierarchyObject
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Flaky

from pagering_hdl.config import CardConfig
from pagering_tb.bench import limit_wall_time
from pagering_tb.driver_thread import in_simulation, run_blocking

from .operation import Operation
from .pages import Wrong
from .program import dump, load
from .shrink import Shrinker
from .strategies import programs
from .world import World

__all__ = ["JOB_VARIABLE"]

_ROUND = 100
"""Programs of one seed."""
_KIND = 24
"""Letters of an error that tell it from others."""
JOB_VARIABLE = "PAGERING_STORM_JOB"
"""JSON: ``config``; ``seed`` and ``frames`` to reach, or the path of a program to ``replay``; the
``sabotage`` to switch on, if any; where to write what is ``found``, and the ``report``."""


class Complaints:
    """What the design's own assertions print, of which the test build has taken the stop away.

    Takes over the output of the process: the simulator writes there from C++.
    """

    def __init__(self, file: TextIO) -> None:
        self._file = file
        self._libc = ctypes.CDLL(None)
        self._flush()
        self._real = os.dup(1)
        os.dup2(file.fileno(), 1)

    def _flush(self) -> None:
        sys.stdout.flush()
        self._libc.fflush(None)

    def fetch(self) -> str:
        """Return the first assertion that failed since the last call, or nothing."""
        self._flush()
        self._file.seek(0)
        text = self._file.read()
        self._file.seek(0)
        self._file.truncate()
        found = re.search(r"^.*Assertion failed.*$", text, re.MULTILINE)
        return found[0].strip() if found else ""

    def close(self) -> None:
        """Give the output back."""
        self._flush()
        os.dup2(self._real, 1)


class Storm:
    """Programs on one card, until enough frames have gone through it."""

    def __init__(self, world: World, frames: int, found: Path, complaints: Complaints) -> None:
        self.world, self.frames, self.found = world, frames, found
        self.complaints = complaints
        self.programs = 0
        self.error = ""

    async def run(self, program: Sequence[Operation]) -> None:
        """Run one program.

        Raises
        ------
        Wrong
            If the card, or an assertion in it, objects.
        """
        limit_wall_time()
        self.programs += 1
        error: Wrong | None = None
        try:
            await self.world.run(program)
        except Wrong as wrong:
            error = wrong
        said = self.complaints.fetch()
        if said or error is not None:
            self.found.write_text(dump(program), encoding="utf-8")
            self.error = said or str(error)
            raise Wrong(self.error)

    def explore(self, number: int) -> None:
        """Let Hypothesis look for a program that fails, round after round; blocking code."""
        while self.world.frames < self.frames:
            try:
                self._round(number)
            except (Wrong, Flaky):
                self._shrink(number)
            number += 1

    def _shrink(self, number: int) -> None:
        found, said = load(self.found.read_text(encoding="utf-8")), self.error
        if not self._fails(found, kind := self._kind()):
            self.found.write_text(dump(found), encoding="utf-8")
            raise Wrong(f"seed {number}: {said}, but not again for the same program: what came "
                        f"before it matters")
        short = Shrinker(lambda program: self._fails(program, kind)).shortest(found)
        self._fails(short, kind)
        self.found.write_text(dump(short), encoding="utf-8")
        raise Wrong(f"seed {number}: {self.error}")

    def _kind(self) -> str:
        """Return how the last error begins, without its numbers: one fault stays one fault."""
        return re.sub(r"[^a-zA-Z ]", "", self.error)[:_KIND]

    def _fails(self, program: Sequence[Operation], kind: str) -> bool:
        """Return whether a program fails as another did."""
        try:
            in_simulation(self.run(program))
        except Wrong:
            return self._kind() == kind
        return False

    def _round(self, number: int) -> None:
        @seed(number)
        @settings(max_examples=_ROUND, deadline=None, database=None, print_blob=False,
                  phases=(Phase.generate,), report_multiple_bugs=False,
                  suppress_health_check=list(HealthCheck))
        @given(programs())
        def whatever_comes(program: list[Operation]) -> None:
            if self.world.frames < self.frames or self.error:
                in_simulation(self.run(program))
        whatever_comes()


@cocotb.test()
async def storm(dut: HierarchyObject) -> None:
    job = json.loads(os.environ[JOB_VARIABLE])
    world = World(dut, CardConfig(**job["config"]))
    if "sabotage" in job:
        world.sabotage(job["sabotage"])
    with tempfile.TemporaryFile("r+", encoding="utf-8") as file:
        complaints = Complaints(file)
        storms = Storm(world, job.get("frames", 0), Path(job["found"]), complaints)
        try:
            if "replay" in job:
                await storms.run(load(Path(job["replay"]).read_text(encoding="utf-8")))
            else:
                await run_blocking(storms.explore, job["seed"])
        finally:
            complaints.close()
            Path(job["report"]).write_text(json.dumps({
                "frames": world.frames, "programs": storms.programs,
                "reached": world.reached}), encoding="utf-8")
