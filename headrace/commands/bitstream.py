"""`headrace bitstream`: a board's bitstream, with yosys and nextpnr."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from host.errors import UserError
from host.files import check_target
from host.progress import console, steps

from ..library.images import ROOT
from ..options import MachineOptions, add_machine, read


if TYPE_CHECKING:
    from boards.board import Board


PLACE = 120  # in `headrace --help`
WIDTH = 120  # of the table where no terminal says


@dataclass(frozen=True, kw_only=True)
class Options:
    """What `headrace bitstream` is told."""

    machine: MachineOptions
    board: str
    bare: bool
    seed: int | None
    check: bool
    baseline: bool
    output: str | None


def register(commands):
    parser = commands.add_parser(
        "bitstream",
        help="build a board's bitstream",
        description="Synthesize, place and route a board's bitstream with open tools. "
        "Without a board, list those that there are, and what runs on them.",
    )
    parser.add_argument(
        "board", metavar="BOARD", nargs="?", default="", help="(default: list them)"
    )
    add_machine(parser, "the board's, whose clock and memory it must have")
    parser.add_argument(
        "--bare",
        action="store_true",
        help="only the link and the memory, without the accelerator: minutes instead of half an "
        "hour",
    )
    parser.add_argument("--seed", type=int, metavar="N", help="of placement (default: the board's)")
    parser.add_argument(
        "--check", action="store_true", help="fail if the build is worse than its baseline"
    )
    parser.add_argument("--baseline", action="store_true", help="make this build the baseline")
    parser.add_argument(
        "-o", "--output", metavar="DIR", help="folder to write to (default: build/BOARD)"
    )
    parser.set_defaults(run=run)


def run(args):
    options = read(Options, args)
    if options.board:
        from boards.board import get

        board = get(options.board)
        build(board.with_config(options.machine.machine(board.config)), options)
        return
    from boards.bitstream import boards_table

    out = console(stderr=False)
    if not out.is_terminal:
        out.width = WIDTH
    out.print(boards_table())
    out.print(
        "Below a model: tokens/s at most, by what memory carries; or why it does not run. Build "
        "one with "
        "`make bitstream BOARD=...`; docs/boards.md says more.",
        soft_wrap=True,
    )


def build(board: "Board", options: Options) -> None:
    """Build the bitstream; say how good it is, and what to do with it."""
    from boards import bitstream, flow
    from boards.report import changed, missed, table

    out = console(stderr=False)
    name = bitstream.name_of(board, bare=options.bare)
    folder = (
        Path(options.output)
        if options.output
        else bitstream.folder_of(ROOT, board, bare=options.bare)
    )
    before = bitstream.baseline(name)
    if options.check and before is None:
        raise UserError(f"{name} has no baseline to check against: build it with --baseline first")
    check_target(folder / f"{flow.NAME}.bit")
    with steps(name) as step:
        report = flow.build(board, folder, seed=options.seed, machine=not options.bare, step=step)
    out.print(table(report, before))
    late, worse = list(missed(report)), [] if before is None else list(changed(report, before))
    for line in worse:
        out.print(f"compared with the baseline: {line}", soft_wrap=True)
    if late:
        raise UserError(
            f"{name}: {'; '.join(late)}. Try another seed, such as SEED={report['seed'] + 1}"
        )
    if options.check and worse:
        raise UserError(
            f"{name} is worse than its baseline, boards/baselines/{name}.json: {'; '.join(worse)}"
        )
    if options.baseline:
        bitstream.save_baseline(name, report)
    for line in bitstream.instructions(
        board, folder, options.machine.typed(board.name), not options.bare
    ):
        out.print(line, soft_wrap=True)
