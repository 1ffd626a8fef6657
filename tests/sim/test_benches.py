"""Every case of every bench in sim/benches, on Verilator."""

import re

import pytest

from rtl.attention.sequence import BlockSequence
from sim.harness import runner
from sim.harness.build import BenchError, build, cases, units

from .. import chosen


ALL = [(f"{unit}-{case}", unit, case) for unit in units() for case in cases(unit)]
# Machines whose words have several beats: others of them are always run.
ASKED = re.compile(
    "(core|lut|dspchain|activations|linear_front|linear_unit)-.*(half|quarter|eighth).*"
)
NARROW = ("linear_front-half", "linear_front-eighth-lut", "linear_front-quarter-dspchain")
ALWAYS = {name for name, *_ in ALL if not ASKED.fullmatch(name)} | {*NARROW, "linear_unit-eighth"}


@pytest.mark.seconds(25)
@pytest.mark.parametrize(
    "name, unit, case", chosen.cases(ALL, ALWAYS), ids=[name for name, *_ in ALL]
)
def test_bench(name, unit, case):
    assert runner.run(unit, case) > 0


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
