"""Bugs put into netlists: killed, proven harmless, or named."""

import os
import re
import time
from dataclasses import replace
from functools import cache

import pytest
from amaranth import *
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from headrace.cli import main
from sim.harness.build import BenchError, cases
from sim.mutate import forks, top, verdicts
from sim.mutate.netlist import Mutant, draw, insert, netlist, simulated
from sim.mutate.owners import OWNERS, lines, shares
from sim.mutate.prove import equivalent
from sim.mutate.run import Subject
from sim.tools import ROOT


class Design(wiring.Component):
    """A register, logic that does nothing, a bit that nobody reads of a register that is read, and
    a payload that is zero while it is not valid."""

    def __init__(self):
        super().__init__(
            {"a": In(1), "b": In(1), "y": Out(1), "z": Out(1), "o": Out(stream.Signature(4))}
        )

    def elaborate(self, platform):
        m = Module()
        kept, harmless, pair = Signal(4), Signal(), Signal(2)
        m.d.comb += harmless.eq(self.a & self.b)
        m.d.sync += [self.y.eq(self.a | harmless), kept.eq(kept + self.a)]
        m.d.sync += pair.eq(Cat(self.a ^ self.b, self.b))
        m.d.comb += self.z.eq(pair[1])
        m.d.comb += [self.o.valid.eq(self.b), self.o.payload.eq(Mux(self.b, kept, 0))]
        return m


@cache
def design():
    """Its netlist, by yosys."""
    return netlist(Design(), "design")


# A cell by its type, a change, and whether it is equivalent: strictly, by the contract.
CHANGES = [
    ("$and", "inv", "B", 0, (True, True)),  # a | (a & b) is a
    ("$and", "const0", "Y", 0, (True, True)),
    ("$and", "inv", "Y", 0, (False, False)),
    ("$or", "inv", "A", 0, (False, False)),
    ("$add", "inv", "Y", 3, (False, False)),
    ("$xor", "inv", "Y", 0, (True, True)),  # the bit that nobody reads
    ("$mux", "inv", "A", 2, (False, True)),  # what it is when it is not valid
    ("$mux", "inv", "B", 2, (False, False)),
]


def cell(text, kind):
    return re.search(rf"^  cell {re.escape(kind)} (\S+)$", text, re.M)[1].removeprefix("\\")


@pytest.mark.seconds(3)
@pytest.mark.parametrize("kind, mode, port, bit, wanted", CHANGES)
def test_proofs(kind, mode, port, bit, wanted):
    """What is harmless is proven so, and nothing else."""
    mutant = Mutant(mode, "design", cell(design(), kind), port, bit, -1, "here")
    # As the second of two: its number must be heeded.
    other = replace(mutant, mode="inv", cell=cell(design(), "$or"), port="Y", bit=0)
    text = insert(design(), "design", [other, mutant])
    assert (equivalent(text, "design", 2), equivalent(text, "design", 2, contract=True)) == wanted


class Memory(wiring.Component):
    """Reads what was written, and a register that only what is read changes."""

    def __init__(self):
        super().__init__({"write": In(1), "at": In(3), "value": In(4), "y": Out(4)})

    def elaborate(self, platform):
        from amaranth.lib.memory import Memory as Cells

        m = Module()
        m.submodules.cells = cells = Cells(shape=4, depth=8, init=[])
        write, read = cells.write_port(), cells.read_port(domain="comb")
        m.d.comb += [
            write.en.eq(self.write),
            write.addr.eq(self.at),
            write.data.eq(self.value),
            read.addr.eq(self.at ^ 1),
        ]
        m.d.sync += self.y.eq(read.data & (read.data | self.value))
        return m


@pytest.mark.seconds(3)
@pytest.mark.parametrize(
    "kind, port, wanted",
    [("$or", "B", True), ("$or", "A", False), ("$xor", "A", False), ("$mem_v2", "WR_EN", False)],
)
def test_proofs_with_memory(kind, port, wanted):
    text = netlist(Memory(), "memory")
    at = text.index(f"\n  cell {kind} ")
    module = re.findall(r"^module \\(\S+)", text[:at], re.M)[-1]
    mutant = Mutant("inv", module, cell(text, kind), port, 0, -1, "here")
    assert equivalent(insert(text, "memory", [mutant]), "memory", 1) == wanted


@pytest.mark.seconds(3)
def test_drawn_from_the_files():
    """Of the files that the bench answers for, as the seed says; clocks are left alone."""
    text = Subject("slice", "small").netlist
    for files in ("bus/slice", "bus/register"), ("bus/skid",):
        drawn = draw(text, [(files, 20)], 3)
        assert len(drawn) == 20 and drawn == draw(text, [(files, 20)], 3) != draw(
            text, [(files, 20)], 4
        )
        assert {m.source.split(":")[0] for m in drawn} <= {f"rtl/{name}.py" for name in files}
        assert not {m.port for m in drawn} & {"CLK", "clk"}


@pytest.mark.seconds(3)
def test_every_file_has_one_owner():
    files = [name for owner in OWNERS.values() for name in owner.files]
    assert len(set(files)) == len(files)
    logic = {
        path.relative_to(ROOT / "rtl").with_suffix("").as_posix()
        for path in (ROOT / "rtl").rglob("*.py")
        if "m.d.comb +=" in path.read_text()
    }
    assert not logic - {"standalone/core"} - set(files)  # generated around a core, for others
    for unit, owner in OWNERS.items():
        assert {case for case, _ in owner.parts} <= {None, *cases(unit)}


def test_shares():
    """All that was asked for, to each according to its lines."""
    for count in 1, 7, 200, 1000:
        given = shares(count)
        assert sum(given.values()) == count
        total = sum(map(lines, OWNERS))
        assert all(abs(n - count * lines(unit) / total) < 1 for unit, n in given.items())


PAYLOAD = Mutant("inv", "skid", "", "Y", 0, -1, "rtl/bus/skid.py:42")
HELD = Mutant("const0", "skid", "", "Q", 0, -1, "rtl/bus/skid.py:37")


@pytest.fixture
def skid(monkeypatch):
    """Mutants of the skid buffer by hand: of what it offers, and of what it holds."""

    def by_hand(text, wanted, seed):
        return [replace(PAYLOAD, cell=cell(text, "$mux")), replace(HELD, cell=cell(text, "$dff"))]

    monkeypatch.setattr(verdicts, "draw", by_hand)


@pytest.mark.seconds(15)
def test_killed(skid, capsys):
    """The bench fails on both. The good design, in the same build, passes before."""
    assert main(["mutate", "skid", "-n", "2"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "skid: 2 of 2 killed",
        "2 killed, 0 proven equivalent, 0 proven equivalent by the streams' contract, 0 survived",
        "2 passed, 0 failed",
    ]


@pytest.mark.seconds(3)
def test_survivor_is_named(skid, capsys, monkeypatch):
    """A bench that overlooks one of them: it is no equivalent one, and said to have survived.

    It can be run alone.
    """
    killed = Subject.killed
    monkeypatch.setattr(Subject, "killed", lambda *args: killed(*args) - {2})
    assert main(["mutate", "skid", "-n", "2"]) == 1
    out = capsys.readouterr().out.splitlines()
    assert re.fullmatch(
        r"skid 2 of 2: survived: rtl/bus/skid.py:37 \(skid \S+\): const0 of Q\[0\]", out[0]
    )
    assert (
        out[1] == "skid: 1 of 2 killed"
        and out[2].endswith(" 1 survived")
        and out[3] == "1 passed, 1 failed"
    )
    assert main(["mutate", "skid", "-n", "2", "--only", "2"]) == 1
    assert capsys.readouterr().out.splitlines()[::3] == [out[0], "0 passed, 1 failed"]


@pytest.mark.seconds(3)
def test_good_design_must_pass(monkeypatch):
    """Nothing is said of mutants when the bench fails without one."""
    monkeypatch.setattr(
        "sim.mutate.run.simulated",
        lambda text, name: simulated(text, name).replace(
            "assign o__valid =", "assign o__valid = ~"
        ),
    )
    subject = Subject("skid", "bit")
    subject.insert([replace(PAYLOAD, cell=cell(subject.netlist, "$mux"))])
    with pytest.raises(BenchError, match="tests failed"):
        subject.killed([1])


def test_a_mutant_that_hangs_is_killed():
    for seconds, ends in ("0", True), ("60", False):
        process = os.fork()
        if not process:
            os.execvp("sleep", ["sleep", seconds])
        assert forks._ends(process, 5 if ends else 0.1) == ends


class FakeNet(top.TopNet):
    """The processes and verdicts of the whole accelerator, without one."""

    def __init__(self, config, count, seed, *, trials, build_progress=None):
        self.mutants, self.mutated = [replace(PAYLOAD, bit=n) for n in range(1, 6)], ""

    def _difference(self):
        number = int(os.environ[top.VARIABLE])
        if number == 3:
            os._exit(1)
        if number == 4:
            time.sleep(60)
        return {1: "program 7: DRAM differs", 2: "model 3: step 0: ids differ"}.get(number)


@pytest.mark.seconds(4)
def test_top_net(monkeypatch, capsys):
    """Killed by a program, by a model, by a crash and by taking too long; and one that is not."""
    monkeypatch.setattr(verdicts, "TopNet", FakeNet)
    monkeypatch.setattr(verdicts, "proof", lambda *args: None)
    monkeypatch.setattr(top, "LEAST", 5)
    assert main(["mutate", "top-net", "-n", "5"]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "top-net 5 of 5: survived: rtl/bus/skid.py:42 (skid ): inv of Y[5]",
        "top-net: 4 of 5 killed",
        "3 killed, 1 killed by a model alone, 0 proven equivalent, "
        "0 proven equivalent by the streams' contract, 1 survived",
        "4 passed, 1 failed",
    ]


def test_good_accelerator_must_pass(monkeypatch, capsys):
    monkeypatch.setattr(verdicts, "TopNet", FakeNet)
    monkeypatch.setattr(FakeNet, "_difference", lambda self: "program 0: DRAM differs")
    assert main(["mutate", "top-net", "-n", "5"]) == 2
    assert capsys.readouterr().err.endswith("headrace: without a mutant: program 0: DRAM differs\n")


@pytest.mark.parametrize(
    "args, said",
    [
        (["nothing"], "headrace: UNIT must be all or one of accumulate, "),
        (["skid", "-n", "0"], "headrace: -n must be at least 1, not 0"),
        (
            ["skid", "--set", "lanes=8"],
            "headrace: --config and --set are of top-net; a bench has configurations of its own",
        ),
        (
            ["top-net", "--set", "lanes=3"],
            "headrace: --set lanes=3: Configuration 'small+lanes=3': lanes must be ",
        ),
        (["skid", "-n", "3", "--only", "4"], "headrace: --only must be from 1 to 3, not 4"),
    ],
)
def test_refused(args, said, capsys):
    assert main(["mutate", *args]) == 2
    err = capsys.readouterr().err
    assert err.startswith(said) and err.count("\n") == 1
