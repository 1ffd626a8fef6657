"""Measure what the tests reach; compare it with docs/coverage.json, and record it there and in
docs/coverage.md: `python -m sim.coverage rtl`."""

import argparse
import os
import sys
import warnings
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

from amaranth.hdl import UnusedElaboratable

from host.errors import UserError, run_command
from rtl.spec import config as configs

from ..harness.build import cases
from ..mutate.owners import OWNERS, owner
from ..tools import ROOT
from . import measure, programs, python, reasons, record, summary


__all__ = ["main"]


CONFIG, PROGRAMS = "small", 300  # random programs, of this configuration


def _quiet():
    """Keep what simulations say out of the way."""
    log = ROOT / "build" / "coverage" / f"benches-{os.getpid()}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 1)
    # Of a case whose Verilog is known, the component is made and left.
    warnings.simplefilter("ignore", UnusedElaboratable)


def _run_all(unit):
    return measure.run_all(unit, reasons.load())


def benches(units, jobs):
    """Yield (bench, what it reached of each file)."""
    with ProcessPoolExecutor(jobs, initializer=_quiet) as pool:
        for n, (unit, (reached, ran)) in enumerate(zip(units, pool.map(_run_all, units)), 1):
            print(
                f"{n} of {len(units)}: {unit}, of {len(cases(unit))} cases {', '.join(ran)}",
                file=sys.stderr,
            )
            yield unit, reached


def rtl(units, jobs):
    """Entries of the components that benches answer for, of all components if none are named; and
    the reasons, which have counted what they explain."""
    for unit in units:
        owner(unit)  # refuses what is no bench
    said, entries = reasons.load(), {}
    for unit, reached in benches(units or list(OWNERS), jobs):
        entries |= summary.entries(unit, reached, said)
    return dict(sorted(entries.items())), said


def _print(entries):
    for file, entry in entries.items():
        print(
            f"{file}: "
            + ", ".join(
                "{0} of {2} {what} reached, {1} explained".format(*entry[what], what=what)
                for what in ("branches", "bits")
            )
        )
        for name in entry["open"]["branches"]:
            print(f"  branch {name}")
        for name, bits in entry["open"]["bits"].items():
            print(f"  {name} [{bits}]")


@dataclass(frozen=True, kw_only=True)
class Options:
    """What is to be measured: benches, programs, tests; by how many processes."""

    unit: tuple[str, ...]
    n: int
    tests: tuple[str, ...]
    jobs: int


def _measure_rtl(options, before):
    components, said = rtl(options.unit, options.jobs)
    less = list(summary.worse(before.get("components", {}), components))
    if options.unit:
        _print(components)
    else:
        less += [
            f"{reason.component}: nothing is explained by what {reasons.FILE.name} says of "
            f"{reason.branch or reason.signal}; remove it"
            for reason in said
            if not reason.used
        ]
    return {"components": components}, less


def _measure_programs(options, before):
    found = programs.entries(programs.run(configs.get(CONFIG), options.n))
    return {"command": f"make random CONFIG={CONFIG} N={options.n}", **found}, list(
        programs.worse(before, found)
    )


def _measure_python(options, before):
    files = python.entries(python.run(options.tests or python.TESTS, options.jobs))
    if options.tests:  # they reach less than all tests do
        for file, (reached, lines, *_, missing) in files.items():
            if reached:
                print(f"{file}: {reached} of {lines} lines reached", *filter(None, [missing]))
        return {"files": files}, []
    return {"files": files}, list(python.worse(before.get("files", {}), files))


# What measures a part of the record: returns it, and lines on what has become less.
PARTS = {"rtl": _measure_rtl, "programs": _measure_programs, "python": _measure_python}


def command(argv):
    parser = argparse.ArgumentParser(prog="python -m sim.coverage", description=__doc__)
    parser.add_argument("part", choices=PARTS)
    parser.add_argument(
        "--unit",
        action="append",
        default=[],
        help="rtl: a bench; print what it reaches, and record it with --accept alone",
    )
    parser.add_argument("-n", type=int, default=PROGRAMS, help="programs: how many")
    parser.add_argument("tests", nargs="*", help="python: print what these reach, record nothing")
    parser.add_argument("--accept", action="store_true", help="record it even if it is less")
    parser.add_argument("-j", "--jobs", type=int, default=os.cpu_count())
    args = parser.parse_args(argv)
    for option, given, part in ("--unit", args.unit, "rtl"), ("tests", args.tests, "python"):
        if given and args.part != part:
            raise UserError(f"{option}: only {part} has any, not {args.part}; leave it out")
    for option, count in ("-n", args.n), ("--jobs", args.jobs):
        if count < 1:
            raise UserError(f"{option}: must be 1 or more, not {count}")

    recorded, commit = record.load(), record.commit()
    options = Options(unit=tuple(args.unit), n=args.n, tests=tuple(args.tests), jobs=args.jobs)
    now, less = PARTS[args.part](options, recorded.get(args.part, {}))
    if less and not args.accept:
        print(*less, sep="\n", file=sys.stderr)
        return 1
    if args.unit and args.accept:
        record.save(record.updated(recorded, now["components"], commit))
    elif not args.unit and not args.tests:
        record.save({**recorded, args.part: {"commit": commit, **now}})


def main(argv=None):
    """Run the command, return the exit code: 1 if coverage is less than it was."""
    return run_command("coverage", lambda: command(argv))


if __name__ == "__main__":
    sys.exit(main())
