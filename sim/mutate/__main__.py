"""Put bugs into components at random, and run their benches: ``make mutate UNIT=skid N=20 SEED=1``.

UNIT=top-net puts them into the whole accelerator, and runs random programs and models on it. The
last line is `N passed, N failed`. A mutant passes when it is killed, or when it is proven that
nothing can.
"""

import argparse
import sys
from collections import Counter

from host import configurations
from host.errors import UserError, run_command
from host.progress import progress, steps

from ..harness.build import BenchError, cases
from .netlist import draw
from .owners import owner, shares
from .prove import CONTRACT, EQUIVALENT, proof
from .run import Subject
from .top import TOP, TopNet


__all__ = ["main", "of_bench", "of_top"]


DEFAULT_CONFIG = "small"
KILLED, KILLED_BY_MODEL, SURVIVED = "killed", "killed by a model alone", "survived"


def of_bench(unit, count, seed, only=None):
    """Draw mutants of the files that a bench answers for; yield (number, mutant, verdict) of each.

    With a number `only`, no other is run.
    """
    of = owner(unit)
    subject = Subject(unit, of.case or next(iter(cases(unit))))
    mutants = draw(subject.netlist, [(of.files, count)], seed)
    if not mutants:
        return
    subject.insert(mutants)
    chosen = {n: mutant for n, mutant in enumerate(mutants, 1) if only in (None, n)}
    killed = subject.killed(chosen)
    for n, mutant in chosen.items():
        yield n, mutant, KILLED if n in killed else \
            proof(subject.mutated, mutant, n, unit) or SURVIVED


def of_top(config, count, seed, trials, only=None):
    """The same of a whole accelerator; a verdict names what kills a mutant: a program, or a model."""
    with steps(f"building the simulated FPGA, once ({config.name}-mutants)") as step:
        net = TopNet(config, count, seed, trials=trials, build_progress=step)
    if why := net.kill(0):
        raise BenchError(f"without a mutant: {why}")
    for n, mutant in enumerate(net.mutants, 1):
        if only in (None, n):
            why = net.kill(n)
            by = why and (KILLED_BY_MODEL if why.startswith("model ") else KILLED)
            yield n, mutant, by or proof(net.mutated, mutant, n, TOP) or SURVIVED


def _all(args):
    if args.unit == "top-net":
        config = configurations.chosen(args, DEFAULT_CONFIG)
        yield args.unit, args.n, of_top(config, args.n, args.seed, (args.programs, args.models),
                                     args.only)
        return
    given = shares(args.n) if args.unit == "all" else {args.unit: args.n}
    for unit, count in given.items():
        if count:
            yield unit, count, of_bench(unit, count, args.seed, args.only)


def command(argv):
    parser = argparse.ArgumentParser(prog="python -m sim.mutate", description=__doc__)
    parser.add_argument("unit", help="a bench; all: those of all, in proportion to the lines that "
                        "they answer for; top-net: random programs and models on the whole accelerator")
    parser.add_argument("-n", type=int, default=20, help="mutants (default: 20)")
    parser.add_argument("--seed", type=int, default=1, help="what chooses them (default: 1)")
    parser.add_argument("--only", type=int, metavar="K", help="run a bench's K-th mutant alone")
    parser.add_argument("--programs", type=int, default=200, help="of top-net (default: 200)")
    parser.add_argument("--models", type=int, default=30, help="of top-net (default: 30)")
    configurations.add_arguments(parser, f"{DEFAULT_CONFIG}, of top-net")
    args = parser.parse_args(argv)
    for name, least in ("n", 1), ("programs", 1), ("models", 0):
        if getattr(args, name) < least:
            raise UserError(f"{'-n' if name == 'n' else f'--{name}'} must be at least {least}, "
                            f"not {getattr(args, name)}")
    if args.only is not None and not 1 <= args.only <= args.n:
        raise UserError(f"--only must be from 1 to {args.n}, not {args.only}")
    found = Counter()
    for unit, count, mutants in _all(args):
        of = Counter()
        with progress(f"mutants of {unit}") as report:
            for n, mutant, verdict in mutants:
                report(n, count)
                of[verdict] += 1
                if verdict not in (KILLED, KILLED_BY_MODEL):
                    print(f"{unit} {n} of {count}: {verdict}: {mutant}", flush=True)
        print(f"{unit}: {of[KILLED] + of[KILLED_BY_MODEL]} of {of.total()} killed", flush=True)
        found += of
    print(", ".join(f"{found[verdict]} {verdict}"
                    for verdict in (KILLED, KILLED_BY_MODEL, EQUIVALENT, CONTRACT, SURVIVED)
                    if found[verdict] or verdict != KILLED_BY_MODEL))
    print(f"{found.total() - found[SURVIVED]} passed, {found[SURVIVED]} failed")
    return 1 if found[SURVIVED] else 0


def main(argv=None):
    """Run the command, return the exit code."""
    return run_command("mutate", lambda: command(argv))


if __name__ == "__main__":
    sys.exit(main())
