"""Python's coverage: of all processes that tests start, and by package."""

import json
import subprocess

import pytest

from host.errors import UserError
from sim.coverage.python import entries, packages, run, worse


def report(**files):
    """What coverage.py writes: for each file lines reached and all, branches taken and all."""
    return {
        "files": {
            name: {
                "summary": dict(
                    zip(
                        ("covered_lines", "num_statements", "covered_branches", "num_branches"),
                        numbers,
                    )
                ),
                "missing_lines": [3, 4, 5, 9, 11, 12][: numbers[1] - numbers[0]],
            }
            for name, numbers in files.items()
        }
    }


FILES = entries(
    report(
        **{
            "rtl/a.py": (94, 100, 8, 10),
            "rtl/b/c.py": (100, 100, 0, 0),
            "host/d.py": (1, 1, 2, 2),
            "host/__init__.py": (0, 0, 0, 0),
        }
    )
)


def test_entries():
    assert FILES == {
        "rtl/a.py": [94, 100, 8, 10, "3-5 9 11-12"],
        "rtl/b/c.py": [100, 100, 0, 0, ""],
        "host/d.py": [1, 1, 2, 2, ""],
    }
    assert packages(FILES) == {"host": [1, 1, 2, 2], "rtl": [194, 200, 8, 10]}


@pytest.mark.parametrize(
    "numbers, said",
    [
        ((94, 100, 8, 10), []),
        ((93, 100, 8, 10), ["rtl: 96.5% of the lines are reached, and were 97.0%"]),
        ((94, 100, 7, 10), ["rtl: 70.0% of the branches are reached, and were 80.0%"]),
        ((100, 100, 10, 10), []),
    ],
)
def test_worse(numbers, said):
    now = {**FILES, "rtl/a.py": [*numbers, ""], "sim/new.py": [0, 9, 0, 0, "1-9"]}
    assert list(worse(FILES, now)) == said


@pytest.mark.seconds(5)
def test_run(tmp_path):
    """What a command reaches that a test starts, counts."""
    test, folder = tmp_path / "test_command.py", tmp_path / "coverage"
    test.write_text(
        "import subprocess, sys\n\ndef test_refused():\n"
        "    assert subprocess.run([sys.executable, '-m', 'sim.harness.runner', "
        "'nope']).returncode == 2\n"
    )
    found = entries(run([str(test)], workers=0, folder=folder))
    reached, _, _, _, missing = found["sim/harness/runner.py"]
    assert reached > 20 and missing
    assert entries(json.loads((folder / "report.json").read_text())) == found


@pytest.mark.seconds(5)
def test_failing_tests(monkeypatch, tmp_path):
    monkeypatch.setattr(subprocess, "run", lambda args, **_: subprocess.CompletedProcess(args, 1))
    with pytest.raises(UserError, match="must pass before"):
        run()
