"""Run a simulated board, until Ctrl-C."""

import argparse
import sys
from dataclasses import replace

from boards import board as boards
from host.errors import UserError

from .board import SimulatedBoard


CYCLES = 4  # per bit, as fast as the link goes


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m sim.board", description=__doc__)
    parser.add_argument("board", nargs="?", default="ulx3s-85f", help="default: %(default)s")
    parser.add_argument("--baud", type=int, metavar="N",
                        help="bits per second in the board's own time (default: as many as the link can take)")
    parser.add_argument("--faults", type=float, default=0.0, metavar="RATE",
                        help="probability that a byte is lost, that it is doubled, and that a bit is wrong")
    parser.add_argument("--seed", type=int, default=1, metavar="N", help="of the faults")
    options = parser.parse_args(arguments)
    try:
        board = boards.get(options.board)
        board = replace(board, baud=options.baud or round(board.clock_mhz * 1e6 / CYCLES))
        with SimulatedBoard(board, faults=options.faults, seed=options.seed,
                            progress=lambda text: print(text, file=sys.stderr, flush=True)) as simulated:
            print(f"headrace run --device uart:{simulated.path} --config {board.config.name}", flush=True)
            try:
                simulated.run()
            except KeyboardInterrupt:
                print(", ".join(f"{n} {name}" for name, n in simulated.statistics().items()))
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
