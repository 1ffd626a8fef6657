"""Write what vendor tools need for a board: `make export BOARD=kv260`."""

import argparse
import sys

from rich.table import Table

from host import configurations
from host.errors import run_command
from host.progress import console
from rtl.spec import config as configs

from .targets import TARGETS, get
from .write import write


__all__ = ["main"]


def command(argv):
    parser = argparse.ArgumentParser(prog="python -m boards.export", description=__doc__)
    parser.add_argument("board", nargs="?", default="", help=", ".join(TARGETS))
    configurations.add_arguments(parser, "the board's")
    parser.add_argument("-o", "--output", metavar="DIR", help="folder to write to (default: build/export/BOARD)")
    args = parser.parse_args(argv)
    if not args.board:
        console(stderr=False).print(table())
        return
    target = get(args.board)
    config = configurations.chosen(args, target.config)
    folder = args.output or f"build/export/{target.name}"
    with console().status("generating Verilog"):
        names = write(target, config, folder)
    console(stderr=False).print(f"{folder}: {', '.join(names)} (configuration {config.name}, digest "
                                f"{config.digest[:8]}); README.md says how to go on", soft_wrap=True)


def main(argv=None):
    """Run the command, return the exit code."""
    return run_command("export", lambda: command(argv))


def table():
    """The boards, for people."""
    out = Table(box=None, pad_edge=False)
    for name in ("BOARD", "", "configuration", "memory", "GB/s", "GB/s that one port carries"):
        out.add_column(name, justify="right" if "GB/s" in name else "left")
    for target in TARGETS.values():
        out.add_row(target.name, target.title, target.config, target.memory, f"{target.memory_peak / 1e9:.1f}",
                    f"{target.bandwidth(configs.get(target.config)) / 1e9:.1f}")
    return out


if __name__ == "__main__":
    sys.exit(main())
