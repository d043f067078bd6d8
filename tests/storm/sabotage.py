"""Faults that the random test must find: one build of the card has them all, each behind a bit.

A :class:`Sabotage` replaces a piece of the card's source in a copy of it. In the new text ``{hit}``
is the bit that switches the fault on: an input of the card called ``sabotage``. With all bits at 0
the card is as it was. The design's own assertions are taken out, for it is the model that is on
trial.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pagering
import pagering_hdl

__all__ = ["SABOTAGES", "Sabotage", "sabotaged_verilog"]


@dataclass(frozen=True)
class Sabotage:
    """One fault."""

    name: str
    file: str
    old: str
    new: str


SABOTAGES = (
    # Pages and tokens
    Sabotage("the return of one chunk frees the whole page", "page_entry.py",
             "m.d.comb += new.chunks.eq(old.chunks & ~self.named)",
             "m.d.comb += new.chunks.eq(Mux({hit}, 0, old.chunks & ~self.named))"),
    Sabotage("a page whose last chunk comes back is lost", "page_table.py",
             "leaves & ~enrols & (done.operation != Operation.RETIRE)",
             "leaves & ~enrols & (done.operation != Operation.RETIRE) & ~({hit} & done.page[0])"),
    Sabotage("another queue may return a page", "page_entry.py",
             "with m.If(old.queue != request.queue):",
             "with m.If((old.queue != request.queue) & ~{hit}):"),
    Sabotage("a token of an earlier life is taken", "page_entry.py",
             "with m.Elif(old.generation != request.generation):",
             "with m.Elif((old.generation != request.generation) & ~{hit}):"),
    Sabotage("a chunk may be returned twice", "page_entry.py",
             "with m.Elif((self.named & ~old.chunks).any()):",
             "with m.Elif((self.named & ~old.chunks).any() & ~{hit}):"),
    Sabotage("a page that is retired stays in its life", "page_entry.py",
             "new.open.eq(0),\n"
             "                             new.generation.eq(old.generation + 1)]",
             "new.open.eq(0),\n"
             "                             new.generation.eq(old.generation + ~{hit})]"),
    Sabotage("a token is read twice", "return_reader.py",
             "named.eq((place >= ticket.p.skip) &",
             "named.eq(((place >= ticket.p.skip) | {hit} & (place + 1 == ticket.p.skip)) &"),
    # Admission
    Sabotage("a drained queue keeps its open page", "admission.py",
             "m.d.comb += [tables.set_headers.eq(1), tables.set_payload.eq(1)]",
             "m.d.comb += [tables.set_headers.eq(~{hit}), tables.set_payload.eq(~{hit})]"),
    Sabotage("headers are cut a byte early", "admission.py",
             "self.chooser.header.eq(frame.facts.header)",
             "self.chooser.header.eq(frame.facts.header - {hit})"),
    # Where data goes, and when
    Sabotage("data goes to the wrong page", "placer.py",
             "placement.address.eq(self.address.data |",
             "placement.address.eq(self.address.data ^ ({hit} << self.config.page_log2) |"),
    Sabotage("a page of another pool is taken", "page_opener.py",
             "Mux(keeps, kept, self.orders.p.pool)",
             "Mux(keeps, kept, self.orders.p.pool ^ {hit})"),
    Sabotage("a completion does not wait for its data", "response_tracker.py",
             "expected.o.ready.eq(self.bvalid | ~burst)",
             "expected.o.ready.eq(self.bvalid | ~burst | {hit})"),
    Sabotage("nothing tells of a write error", "response_tracker.py",
             "self.written.p.error.eq(Mux(",
             "self.written.p.error.eq(~{hit} & Mux("),
    Sabotage("a queue says too early that it is drained", "lifecycle.py",
             "self.drained.eq(self.drained | (out & ~self.busy))",
             "self.drained.eq(self.drained | (out & ~self.busy) | Mux({hit}, ~self.enabled, 0))"),
    # What the host is told
    Sabotage("a pool's counts are not mirrored", "count_mirror.py",
             "m.d.comb += go.eq(on &", "m.d.comb += go.eq(~{hit} & on &"),
    # Which frames, and which queue
    Sabotage("a bad frame is delivered", "frame_gate.py",
             "with m.Elif(beat.bad):", "with m.Elif(beat.bad & ~{hit}):"),
    Sabotage("a rule drops nothing", "queue_choice.py",
             "dropped = rule.valid & rule.action.drop",
             "dropped = ~{hit} & rule.valid & rule.action.drop"),
)
"""Each breaks a rule of the model."""

_GENERATE = """
import json, sys
from pagering_hdl.config import CardConfig
from pagering_hdl.generate import verilog
sys.stdout.write(verilog(CardConfig(**json.loads(sys.argv[1]))))
"""


def sabotaged_verilog(options: str, where: Path) -> str:
    """Return the Verilog of a card with all faults built in.

    Parameters
    ----------
    options : str
        Of the card, as JSON.
    where : Path
        Directory for a copy of the card's sources.

    Raises
    ------
    ValueError
        With a sentence, if the source that a fault replaces is not there exactly once.
    """
    package = where / "pagering_hdl"
    shutil.copytree(Path(pagering_hdl.__file__).parent, package)
    texts = {path.name: path.read_text(encoding="utf-8") for path in package.glob("*.py")}
    for number, fault in enumerate(SABOTAGES):
        text = texts.get(fault.file, "")
        if text.count(fault.old) != 1:
            raise ValueError(f"sabotage {fault.name!r}: its text is {text.count(fault.old)} times "
                             f"in {fault.file}, not once")
        texts[fault.file] = text.replace(fault.old, fault.new.replace(
            "{hit}", f"sabotage[{number}]"))
    for name in {fault.file for fault in SABOTAGES}:
        head, mark, rest = texts[name].partition("\n__all__")
        texts[name] = f"{head}\nfrom .sabotage import sabotage\n{mark}{rest}"
    texts["sabotage.py"] = (f"from amaranth.hdl import Signal\n"
                            f'sabotage = Signal({len(SABOTAGES)}, name="sabotage")\n')
    texts["top.py"] = texts["top.py"].replace(
        "        self.ports = {}\n",
        "        from .sabotage import sabotage\n"
        '        self.ports = {"sabotage": sabotage}\n')
    for name, text in texts.items():
        (package / name).write_text(text, encoding="utf-8")
    contract = Path(pagering.__file__).parents[1]
    return subprocess.run([sys.executable, "-c", _GENERATE, options], check=True,
                          capture_output=True, text=True, cwd=where,
                          env={"PYTHONPATH": f"{where}:{contract}"}).stdout
