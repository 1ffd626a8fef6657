"""Run random models: `make random MODELS=1 N=500 SEED=1`. Ends with the line `N passed, N failed`."""

import argparse
import sys
from dataclasses import asdict
from random import Random

from host.errors import UserError, run_command
from host.progress import progress, steps

from ..programs.compare import Difference
from .case import draw
from .compare import Pair
from .configs import CONFIGS
from .coverage import Coverage
from .shrink import shrink


__all__ = ["cases", "main"]


def cases(config, seed, numbers):
    """Yield (number, case, image) of models for a configuration. A number has the same case always."""
    for n in numbers:
        yield n, *draw(config, Random(f"model {config.name} {seed} {n}"))


def described(case):
    """What a case is, for people."""
    shape = " ".join(f"{name}={value}" for name, value in asdict(case.shape).items() if name != "formats")
    formats = " ".join(f"{name}={fmt}" for name, fmt in case.shape.formats)
    taken = "; ".join(f"{len(step.tokens)} at {step.position}{' head' * step.head}" for step in case.steps)
    return f"{shape}; {formats}; tokens {taken}; stall {case.dram.stall}"


def failed(pair, seed, n, case, difference):
    """Say what went wrong, and on which smallest model it still does."""
    print(f"model {n} of {pair.config.name}, seed {seed}: {difference}\n    {described(case)}")
    small, difference = shrink(pair, case)
    print(f"    smallest: {difference}\n    {described(small)}", flush=True)


def command(argv):
    parser = argparse.ArgumentParser(prog="python -m sim.models", description=__doc__)
    parser.add_argument("-n", type=int, default=100, help="models (default: 100)")
    parser.add_argument("--seed", type=int, default=1, help="what chooses them (default: 1)")
    parser.add_argument("--config", choices=CONFIGS, help="accelerator (default: all of these in turn)")
    args = parser.parse_args(argv)
    if args.n < 1:
        raise UserError(f"-n must be at least 1, not {args.n}")
    chosen = [CONFIGS[args.config]] if args.config else list(CONFIGS.values())[:args.n]
    coverage, failures, done = Coverage(chosen), 0, 0
    for turn, config in enumerate(chosen):
        with steps(f"building the simulated FPGA, once ({config.name})") as step:
            pair = Pair(config, step)
        with progress(f"random models ({config.name})") as report:
            for n, case, image in cases(config, args.seed, range(turn, args.n, len(chosen))):
                report(done, args.n)
                try:
                    pair.compare(case, image)
                except Difference as difference:
                    failures += 1
                    failed(pair, args.seed, n, case, difference)
                coverage.ran(config, case)
                done += 1
    print(f"{100 * coverage.share:.1f} % of {len(coverage.reachable)} bins: formats, columns and heads, ends")
    for missing in coverage.missing:
        print(f"    never: {', '.join(missing)}")
    print(f"{args.n - failures} passed, {failures} failed")
    return 1 if failures else 0


def main(argv=None):
    """Run the command, return the exit code."""
    return run_command("random", lambda: command(argv))


if __name__ == "__main__":
    sys.exit(main())
