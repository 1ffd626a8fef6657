"""Every case of every bench in sim/benches, on Verilator."""

import re

import pytest

from rtl.attention.sequence import BlockSequence
from rtl.vector.interlock import Interlock
from sim.harness import runner
from sim.harness.build import BenchError, build, cases, units
from tests import chosen


ALL = [(f"{unit}-{case}", unit, case) for unit in units() for case in cases(unit)]
NAMES = {name for name, *_ in ALL}
# Cores of beats below 128 bits, but for three of them, each at another width.
CORES = re.compile(
    "(core|lut|dspchain|activations|linear_front|linear_unit)-.*(half|quarter|eighth)"
)
FEW = {"linear_front-half", "linear_front-eighth-lut", "linear_front-quarter-dspchain"}
FEW |= {"linear_unit-eighth"}
# Long ones, of beats of 16 bits: whole models show the same, with each core at a width.
LONG = {"link_bridge-narrow", "memory_reader-narrow", "top-narrow"}
LONG |= {name for name in NAMES - FEW if CORES.match(name)}


@pytest.mark.seconds(25)
@pytest.mark.parametrize(
    "name, unit, case",
    chosen.cases(ALL, NAMES - LONG),
    ids=[name for name, *_ in ALL],
)
def test_bench(name, unit, case):
    assert runner.run(unit, case) > 0


def test_long_ones_exist():
    assert LONG < NAMES and FEW < NAMES


@pytest.mark.seconds(10)
def test_keys_before_a_window_matter(monkeypatch):
    """The bench fails if attention takes the keys that it reads of a first block, and must skip."""
    emit = BlockSequence.emit

    def unskipped(self, *phase):
        return [*emit(self, *phase), self.phase.p.skip.eq(0)]

    monkeypatch.setattr(BlockSequence, "emit", unskipped)
    wrong = build("attention", "small", variant="unskipped")
    with pytest.raises(BenchError, match="attends_to_windows"):
        runner.simulate(wrong, only="attends_to_windows$")


@pytest.mark.seconds(10)
def test_results_that_are_missing_matter(monkeypatch):
    """The bench fails if the vector unit reads what the instruction before has yet to write."""
    elaborate = Interlock.elaborate

    def unheld(self, platform):
        m = elaborate(self, platform)
        m.d.comb += self.hold.eq(0)
        return m

    monkeypatch.setattr(Interlock, "elaborate", unheld)
    wrong = build("vector_unit", "small", variant="unheld")
    with pytest.raises(BenchError, match="waits_for_what_it_reads"):
        runner.simulate(wrong, only="waits_for_what_it_reads$")
