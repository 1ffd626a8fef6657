"""Put bugs into components at random, and run their benches: ``make mutate UNIT=skid N=20 SEED=1``.

Ends with the line `N passed, N failed`. A mutant passes when the bench kills it, or when it is
proven that no bench can.
"""

import argparse
import sys
from collections import Counter

from host.errors import UserError, run_command
from host.progress import progress

from ..bench_build import cases
from .netlist import draw
from .owners import OWNERS, owner, shares
from .prove import equivalent
from .run import Subject


__all__ = ["main", "mutate"]


KILLED, EQUIVALENT, CONTRACT, SURVIVED = "killed", "equivalent", "equivalent by contract", "survived"


def proof(subject, number, mutant):
    """What can be proven of a mutant that a bench does not kill: a verdict."""
    if equivalent(subject.mutated, mutant.module, number):
        return EQUIVALENT
    if mutant.module != subject.unit and equivalent(subject.mutated, subject.unit, number):
        return EQUIVALENT
    if equivalent(subject.mutated, subject.unit, number, contract=True):
        return CONTRACT
    return SURVIVED


def mutate(unit, count, seed):
    """Draw mutants of the files that a bench answers for, and yield (mutant, verdict) of each."""
    of = owner(unit)
    subject = Subject(unit, of.case or next(iter(cases(unit))))
    mutants = draw(subject.netlist, count, seed, of.files)
    if not mutants:
        return
    subject.insert(mutants)
    for n, mutant in enumerate(mutants, 1):
        yield mutant, KILLED if subject.kills(n) else proof(subject, n, mutant)


def command(argv):
    parser = argparse.ArgumentParser(prog="python -m sim.mutate", description=__doc__)
    parser.add_argument("unit", help="a bench, or all: then in proportion to their lines")
    parser.add_argument("-n", type=int, default=20, help="mutants (default: 20)")
    parser.add_argument("--seed", type=int, default=1, help="what chooses them (default: 1)")
    args = parser.parse_args(argv)
    if args.n < 1:
        raise UserError(f"-n must be at least 1, not {args.n}")
    given = shares(args.n) if args.unit == "all" else {args.unit: args.n}
    found, done = Counter(), 0
    for unit in given if args.unit == "all" else [owner(args.unit) and args.unit]:
        if not given[unit]:
            continue
        with progress(f"mutants of {unit}") as report:
            for mutant, verdict in mutate(unit, given[unit], args.seed):
                report(done, args.n)
                done += 1
                found[verdict] += 1
                if verdict != KILLED:
                    print(f"{unit}: {verdict}: {mutant}", flush=True)
    passed = found[KILLED] + found[EQUIVALENT] + found[CONTRACT]
    print(f"{found[KILLED]} killed, {found[EQUIVALENT]} proven equivalent, {found[CONTRACT]} proven "
          f"equivalent by the streams' contract, {found[SURVIVED]} survived")
    print(f"{passed} passed, {found[SURVIVED]} failed")
    return 1 if found[SURVIVED] else 0


def main(argv=None):
    """Run the command, return the exit code."""
    return run_command("mutate", lambda: command(argv))


if __name__ == "__main__":
    sys.exit(main())
