"""Run random programs: `make random N=1000 SEED=1`. Ends with the line `N passed, N failed`."""

import argparse
import sys
from random import Random

from host.errors import UserError, run_command
from host.progress import progress, steps
from rtl import config as configs

from .compare import Difference, Pair
from .coverage import Coverage
from .generator import generate
from .shrink import shrink
from .world import World


WORLD = 100   # programs that share a world


def random_of(*what):
    """A generator of random numbers that `what` alone decides."""
    return Random(" ".join(map(str, what)))


def programs(config, seed, count):
    """Yield (number, world, program)."""
    for n in range(count):
        if n % WORLD == 0:
            world = World(config, random_of("world", seed, n))
        yield n, world, generate(world, random_of("program", seed, n))


def failed(pair, world, n, program, difference):
    """Say what went wrong, with the shortest program that still does."""
    small = shrink(pair, world, program)
    print(f"program {n}: {difference}; tokens {program.tokens}, position {program.position}, head "
          f"{int(program.head)}; {len(small.insns)} of its {len(program.insns)} instructions:")
    for insn in small.insns:
        print(f"    {insn}")


def command(argv):
    parser = argparse.ArgumentParser(prog="python -m sim.programs", description=__doc__)
    parser.add_argument("-n", type=int, default=100, help="programs (default: 100)")
    parser.add_argument("--seed", type=int, default=1, help="what chooses them (default: 1)")
    parser.add_argument("--config", default="small", choices=configs.CONFIGS,
                        help="accelerator (default: small)")
    parser.add_argument("--checked", action="store_true",
                        help="with checkers on all streams, and a random state at power-up")
    args = parser.parse_args(argv)
    if args.n < 1:
        raise UserError(f"-n must be at least 1, not {args.n}")
    config, failures = configs.get(args.config), 0
    coverage = Coverage(config)
    with steps(f"building the simulated FPGA, once ({config.name})") as step:
        pair = Pair(config, coverage, step, args.checked)
    with pair, progress("random programs") as report:
        for n, world, program in programs(config, args.seed, args.n):
            report(n, args.n)
            try:
                pair.compare(world, program)
            except Difference as difference:
                failures += 1
                failed(pair, world, n, program, difference)
    print(f"{100 * coverage.share:.1f} % of {len(coverage.reachable)} bins: instructions, variants, columns")
    for missing in coverage.missing:
        print(f"    never: {missing}")
    print(f"{args.n - failures} passed, {failures} failed")
    return 1 if failures else 0


def main(argv=None):
    """Run the command, return the exit code."""
    return run_command("random", lambda: command(argv))


if __name__ == "__main__":
    sys.exit(main())
