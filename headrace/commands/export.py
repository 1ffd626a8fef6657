"""`headrace export`: what vendor tools need for a board."""

from dataclasses import dataclass

from rich.table import Table

from host.progress import console

from ..library.machines import machine
from ..options import MachineOptions, add_machine, read


PLACE = 130  # in `headrace --help`


@dataclass(frozen=True, kw_only=True)
class Options:
    """What `headrace export` is told."""

    machine: MachineOptions
    board: str
    output: str | None


def register(commands):
    parser = commands.add_parser(
        "export",
        help="write what vendor tools need for a board",
        description="Write Verilog, Tcl and a driver for the tools of a board's vendor. "
        "Without a board, list those that there are.",
    )
    parser.add_argument(
        "board", metavar="BOARD", nargs="?", default="", help="(default: list them)"
    )
    add_machine(parser, "the board's")
    parser.add_argument(
        "-o", "--output", metavar="DIR", help="folder to write to (default: build/export/BOARD)"
    )
    parser.set_defaults(run=run)


def run(args):
    from boards.export.targets import get
    from boards.export.write import write

    options = read(Options, args)
    if not options.board:
        console(stderr=False).print(table())
        return
    target = get(options.board)
    config = options.machine.machine(target.config)
    folder = options.output or f"build/export/{target.name}"
    with console().status("generating Verilog"):
        names = write(target, config, folder)
    console(stderr=False).print(
        f"{folder}: {', '.join(names)} (configuration {config.name}, digest "
        f"{config.digest[:8]}); README.md says how to go on",
        soft_wrap=True,
    )


def table():
    """The boards, for people."""
    from boards.export.targets import TARGETS

    out = Table(box=None, pad_edge=False)
    for name in ("BOARD", "", "configuration", "memory", "GB/s", "GB/s that one port carries"):
        out.add_column(name, justify="right" if "GB/s" in name else "left")
    for target in TARGETS.values():
        out.add_row(
            target.name,
            target.title,
            target.config,
            target.memory,
            f"{target.memory_peak / 1e9:.1f}",
            f"{target.bandwidth(machine(target.config)) / 1e9:.1f}",
        )
    return out
