"""Lines and branches of Python that the tests reach, all but the benches, by coverage.py."""

import json
import shutil
import subprocess
import sys
from collections import defaultdict

from host.errors import UserError

from ..tools import ROOT, environment


__all__ = ["TESTS", "entries", "packages", "run", "worse"]


# Benches run within Verilator, where nothing is measured.
TESTS = ["tests", "--deselect=tests/sim/test_benches.py"]
FOLDER = ROOT / "build" / "coverage" / "python"
# Of a package, what may be missing of what was reached: threads and signals come as they come.
SLACK = 0.002


def run(tests=TESTS, workers=2, folder=FOLDER):
    """Run tests with every process measured; returns coverage.py's report, decoded JSON."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    report = folder / "report.json"
    # Whoever measures this process is not to measure what it measures.
    env = {name: value for name, value in environment().items() if not name.startswith("COVERAGE_")}
    env["COVERAGE_FILE"] = str(folder / "data")

    def coverage(*args):
        return subprocess.run([sys.executable, "-m", "coverage", *args], cwd=ROOT, env=env)

    spread = ["-n", str(workers), "--dist", "worksteal"] if workers else []
    if coverage("run", "-m", "pytest", *spread, *tests).returncode:
        raise UserError("the tests must pass before what they reach counts; run `make test`")
    for step in ["combine", "-q"], ["json", "-q", "-o", str(report)]:
        if coverage(*step).returncode:
            raise UserError(f"coverage.py: `coverage {step[0]}` failed, as it says above")
    return json.loads(report.read_text())


def _ranges(numbers):
    """Line numbers: "3-5 9"."""
    numbers = set(numbers)
    low = sorted(n for n in numbers if n - 1 not in numbers)
    high = sorted(n for n in numbers if n + 1 not in numbers)
    return " ".join(f"{a}-{b}" if a < b else f"{a}" for a, b in zip(low, high))


def entries(report):
    """A record's entry for each file: [lines reached, lines, branches taken, branches, lines that
    are missing]."""
    found = {}
    for file, data in sorted(report["files"].items()):
        summary = data["summary"]
        if summary["num_statements"]:
            found[file] = [
                summary["covered_lines"],
                summary["num_statements"],
                summary["covered_branches"],
                summary["num_branches"],
                _ranges(data["missing_lines"]),
            ]
    return found


def packages(files):
    """The same four numbers for each package: the sums of its files."""
    sums = defaultdict(lambda: [0, 0, 0, 0])
    for file, (*numbers, _) in files.items():
        package = file.split("/")[0]
        sums[package] = [a + b for a, b in zip(sums[package], numbers)]
    return dict(sorted(sums.items()))


def worse(before, now):
    """Yield a line for each package of which less is reached than was."""
    was = packages(before)
    for package, numbers in packages(now).items():
        for what, at in ("lines", 0), ("branches", 2):
            if package in was and was[package][at + 1]:
                reached, old = (n[at] / max(1, n[at + 1]) for n in (numbers, was[package]))
                if reached < old - SLACK:
                    yield f"{package}: {reached:.1%} of the {what} are reached, and were {old:.1%}"
