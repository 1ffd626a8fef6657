"""Every case of every bench in sim/benches, on Verilator."""

import ast
import subprocess
import sys

import pytest

from sim.tools import ROOT, environment


def cases():
    # From the source: importing a bench needs a simulator around it in some versions of cocotb.
    for path in sorted((ROOT / "sim" / "benches").glob("[!_]*.py")):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "CASES":
                names = [key.value for key in node.value.keys]
                break
        else:
            names = [None]
        yield from (pytest.param(path.stem, name, id=f"{path.stem}-{name}") for name in names)


@pytest.mark.parametrize("unit, case", cases())
def test_bench(unit, case):
    result = subprocess.run([sys.executable, "-m", "sim.runner", unit, "--case", case], cwd=ROOT,
                            env=environment(), capture_output=True, text=True, timeout=600)
    assert result.returncode == 0, result.stdout[-8000:] + result.stderr[-4000:]
