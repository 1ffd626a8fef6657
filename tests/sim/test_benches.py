"""Every case of every bench in sim/benches, on Verilator."""

import pytest

from rtl.attention.sequence import BlockSequence
from sim.harness import runner
from sim.harness.build import BenchError, build, cases, units
from tests import chosen


ALL = [(f"{unit}-{case}", unit, case) for unit in units() for case in cases(unit)]
# Long ones, of beats of 16 bits: whole models show the same, with each core at a width.
LONG = {"link_bridge-narrow", "memory_reader-narrow", "top-narrow"}


@pytest.mark.seconds(25)
@pytest.mark.parametrize(
    "name, unit, case",
    chosen.cases(ALL, {name for name, *_ in ALL} - LONG),
    ids=[name for name, *_ in ALL],
)
def test_bench(name, unit, case):
    assert runner.run(unit, case) > 0


def test_long_ones_exist():
    assert LONG < {name for name, *_ in ALL}


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
