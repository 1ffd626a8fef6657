"""The linter finds nothing, and would find what it is configured for."""

import subprocess
import sys
from pathlib import Path

import pytest


ROOT = Path(__file__).parent.parent


def ruff(*args, text=None):
    return subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--output-format", "concise", *args],
        cwd=ROOT,
        input=text,
        capture_output=True,
        text=True,
    )


def test_nothing_is_found():
    done = ruff()
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    "text, rule",
    [
        ("import os\n", "F401"),  # unused
        ("def f():\n    return g\n", "F821"),  # undefined
        ("def f():\n" + "    print()\n" * 51, "PLR0915"),  # too long
        ("x = None\nif x == None:\n    pass\n", "E711"),
        ("from amaranth import *\n\n\nprint(Signal)\n", None),  # as Amaranth means it
        ("def f():\n" + "    print()\n" * 50, None),
    ],
)
def test_rules(text, rule):
    done = ruff("--stdin-filename", "rtl/some.py", "-", text=text)
    assert (rule is None) == (done.returncode == 0) and (rule or "All checks passed") in done.stdout
