"""Run a simulated board, until Ctrl-C."""

import argparse
import shutil
import sys
from dataclasses import replace
from pathlib import Path

from boards import board as boards
from boards.device import PATIENCE
from boards.models import fitting
from host.errors import UserError, run_command

from .board import SimulatedBoard


CYCLES = 4  # per bit, as fast as the link goes
# What the host must believe of a line that is as slow as the simulation.
HOST_BAUD, HOST_PATIENCE = 19_200, 120


def say(text):
    print(text, file=sys.stderr, flush=True)


def command(argv):
    parser = argparse.ArgumentParser(prog="python -m sim.board", description=__doc__)
    parser.add_argument("board", nargs="?", default="ulx3s-85f", help="default: %(default)s")
    parser.add_argument(
        "--baud",
        type=int,
        metavar="N",
        help="bits per second in the board's own time (default: as many as the link can take)",
    )
    parser.add_argument(
        "--faults",
        type=float,
        default=0.0,
        metavar="RATE",
        help="probability that a byte is lost, that it is doubled, and that a bit is wrong",
    )
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of the faults")
    args = parser.parse_args(argv)
    board = boards.get(args.board)
    most = round(board.clock_mhz * 1e6 / CYCLES)
    if args.baud is not None and not 1200 <= args.baud <= most:
        raise UserError(
            f"--baud must be from 1200 to {most}, {CYCLES} cycles of the board a bit; "
            f"not {args.baud}"
        )
    if not 0 <= args.seed < 1 << 64:
        raise UserError(f"--seed must be from 0 to 2**64 - 1, not {args.seed}")
    board = replace(board, baud=args.baud or most)
    with SimulatedBoard(board, faults=args.faults, seed=args.seed, progress=say) as simulated:
        say(
            "Ctrl-C ends it. In another terminal, for some minutes, most of them to load the image:"
        )
        print(host_command(board, simulated.path), flush=True)
        try:
            simulated.run()
        except KeyboardInterrupt:
            print(", ".join(f"{n} {name}" for name, n in simulated.statistics().items()))


def host_command(board, path):
    """A command that runs on the simulated board, with the largest model that it has room for."""
    beside = Path(sys.executable).with_name("headrace")
    program = "headrace" if shutil.which("headrace") or not beside.exists() else beside
    return (
        f"{PATIENCE}={HOST_PATIENCE} {program} run --device uart:{path}:{HOST_BAUD} --config "
        f"{board.config.name} --model {fitting(board).name} --prompt \"We must\" --tokens 4"
    )


def main(argv=None):
    """Run the command, return the exit code."""
    return run_command("board", lambda: command(argv))


if __name__ == "__main__":
    sys.exit(main())
