"""Every case of every bench in sim/benches, on Verilator."""

import subprocess
import sys

import pytest

from sim.harness.build import cases
from sim.tools import ROOT, environment


ALL = [
    (path.stem, case)
    for path in sorted((ROOT / "sim" / "benches").rglob("[!_]*.py"))
    for case in cases(path.stem)
]


@pytest.mark.seconds(25)
@pytest.mark.parametrize("unit, case", ALL, ids=[f"{unit}-{case}" for unit, case in ALL])
def test_bench(unit, case):
    result = subprocess.run(
        [sys.executable, "-m", "sim.harness.runner", unit, "--case", case],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert result.returncode == 0, result.stdout[-8000:] + result.stderr[-4000:]
