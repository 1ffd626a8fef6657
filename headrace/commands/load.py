"""`headrace load`: load a board's bitstream."""

import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from host.errors import UserError

from ..library.images import ROOT
from ..options import MachineOptions, add_machine, read


PLACE = 125  # in `headrace --help`
MEND = "`make install FOR=boards`, or pip install 'headrace[boards]'"


@dataclass(frozen=True, kw_only=True)
class Options:
    """What `headrace load` is told."""

    machine: MachineOptions
    board: str
    bare: bool


def register(commands):
    parser = commands.add_parser(
        "load",
        help="load a board's bitstream",
        description="Load the bitstream that `headrace bitstream` built for the same board and "
        "options, with openFPGALoader.",
    )
    parser.add_argument("board", metavar="BOARD")
    add_machine(parser, "the board's")
    parser.add_argument("--bare", action="store_true", help="the one without the accelerator")
    parser.set_defaults(run=run)


def program(name):
    """Path of a program: of this environment, or of the system. None if there is none."""
    return shutil.which(name, path=Path(sys.executable).parent) or shutil.which(name)


def run(args):
    options = read(Options, args)
    from boards import bitstream
    from boards.board import get

    board = get(options.board)
    board = board.with_config(options.machine.machine(board.config))
    bit = bitstream.path_of(bitstream.folder_of(ROOT, board, bare=options.bare))
    if not bit.exists():
        typed = options.machine.typed(board.name) if options.machine.given else ""
        words = " ".join(filter(None, [board.name, typed, "--bare" * options.bare]))
        raise UserError(f"{bit} must be built first; run headrace bitstream {words}")
    words = [word.format(bit=bit) for word in shlex.split(board.load)]
    if (loader := program(words[0])) is None:
        raise UserError(f"{words[0]} is not installed; run {MEND}")
    code = subprocess.run([loader, *words[1:]]).returncode
    if code:
        raise UserError(
            f"{words[0]} ended with {code}, see above. Is the board connected, and may you use it?"
        )
