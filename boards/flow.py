"""From a board to its bitstream: elaboration, synthesis, place and route, packing."""

import hashlib
import json
import time

from host.errors import UserError
from host.files import writing
from sim.tools import execute, tool, version

from .report import describe
from .synthesis import NAMELESS


__all__ = ["NAME", "check_tools", "build"]


NAME = "headrace"
REPORT = "report.json"
ROUTED = "nextpnr.json"
# Tools by the names that Amaranth has for them: the environment's variable, and what each does.
TOOLS = {
    "yosys": ("YOSYS", "synthesis"),
    "nextpnr-ecp5": ("NEXTPNR_ECP5", "place and route"),
    "ecppack": ("ECPPACK", "packing"),
}
# A clock that misses its target is reported here, with all the others. The other placer needs a
# third more wire, the other router an hour (RFC 13).
MORE = {
    "nextpnr-ecp5": [
        "--report",
        ROUTED,
        "--timing-allow-fail",
        "--placer",
        "static",
        "--router",
        "router2",
    ]
}
# Seconds by the clock that a tool may take: some placements cannot be routed, and routing them
# never ends.
LIMITS = {"nextpnr-ecp5": 2 * 60 * 60}
HINT = "run `make install FOR=boards`, or pip install 'headrace[boards,synth]'"


def path_of(name):
    """Path of the program that stands for a tool."""
    return tool(TOOLS[name][0], f"yowasp-{name}", HINT)


def check_tools():
    """Refuse to go on without the tools, before anything takes time."""
    for name in TOOLS:
        path_of(name)


def build(board, folder, *, seed=None, machine=True, step=lambda name: None):
    """Build a board's bitstream. Returns its report, see :func:`~.report.describe`.

    Nothing is done when the folder has it already.

    Parameters
    ----------
    board : :class:`~.board.Board`
        Board.
    folder : :class:`pathlib.Path`
        Where all files go; made if need be.
    seed : :class:`int` or None
        Of placement. The board's own when None.
    machine : :class:`bool`
        See :class:`~.system.System`.
    step : callable
        Called with the name of each step before it begins.
    """
    check_tools()
    seed = board.seed if seed is None else seed
    seconds = {}

    def timed(name, do):
        step(name)
        start = time.perf_counter()
        result = do()
        seconds[name] = round(time.perf_counter() - start, 1)
        return result

    # Without paths of the source, the design is the same wherever it lies.
    plan = timed(
        "elaboration",
        lambda: board.platform().prepare(board.top(machine=machine), NAME, emit_src=False),
    )
    commands = commands_of(plan, seed)
    digest = digest_of(plan, commands)
    if (report := finished(folder, digest)) is not None:
        return report
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / REPORT).unlink(missing_ok=True)
        for name, content in plan.files.items():
            (folder / name).write_text(content)
        for name, arguments in commands.items():
            timed(TOOLS[name][1], lambda: run(folder, name, arguments))
        (folder / f"{NAME}.json").unlink()  # the netlist: tens of megabytes
        report = describe(
            board,
            json.loads((folder / ROUTED).read_text()),
            machine=machine,
            seed=seed,
            seconds=seconds,
            digest=digest,
            size=(folder / f"{NAME}.bit").stat().st_size,
        )
        (folder / REPORT).write_text(json.dumps(report, indent=1) + "\n")
    return report


def commands_of(plan, seed):
    """Each tool's arguments: as Amaranth says, and a few more."""
    commands = json.loads(plan.files[f"build_{NAME}.json"])["commands"]
    return {
        name: [*words, *MORE.get(name, []), *(["--seed", str(seed)] if name in MORE else [])]
        for name, *words in commands
        if name in TOOLS
    }


def digest_of(plan, commands):
    """What is different for each different bitstream."""
    inputs = [f"{name}\0{content}" for name, content in sorted(plan.files.items())]
    tools = [version(path_of(name)) for name in TOOLS]
    return hashlib.sha256("\0".join([*inputs, repr(commands), *tools]).encode()).hexdigest()[:24]


def finished(folder, digest):
    """The report of an earlier build of the same, if the folder has one."""
    try:
        report = json.loads((folder / REPORT).read_text())
    except (OSError, ValueError):
        return None
    return report if report.get("digest") == digest and (folder / f"{NAME}.bit").exists() else None


def run(folder, name, arguments):
    """Run a tool, yosys without the design's names where it stops over them."""
    code, said = execute([path_of(name), *arguments], folder, LIMITS.get(name))
    if name == "yosys" and code and not said:
        script = folder / f"{NAME}.ys"
        before = NAMELESS.format(top=NAME).replace("; ", "\n")
        script.write_text(script.read_text().replace("synth_ecp5", f"{before}synth_ecp5"))
        code, said = execute([path_of(name), *arguments], folder)
    if code is None:
        raise UserError(
            f"{name} did not end in {LIMITS[name] / 60:g} minutes, as with a placement that cannot "
            "be "
            f"routed; try another seed, `make bitstream BOARD=... SEED=n`"
        )
    if code:
        problem = next((line for line in said if line.startswith("ERROR:")), " ".join(said))
        raise UserError(
            f"{name} failed with exit code {code}: "
            f"{problem.removeprefix('ERROR: ') or 'it said nothing'}"
        )
