"""Every case of every bench in sim/benches, on Verilator."""

import pytest

from sim.harness import runner
from sim.harness.build import cases, units


ALL = [(unit, case) for unit in units() for case in cases(unit)]


@pytest.mark.seconds(25)
@pytest.mark.parametrize("unit, case", ALL, ids=[f"{unit}-{case}" for unit, case in ALL])
def test_bench(unit, case):
    assert runner.run(unit, case) > 0
