"""Measure what the tests reach; compare it with docs/coverage.json, and record it there and in
docs/coverage.md: `python -m sim.coverage rtl`."""

import argparse
import os
import sys
import warnings
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from amaranth.hdl import UnusedElaboratable

from host.errors import UserError, run_command

from .. import document
from ..bench_build import cases, units
from ..tools import ROOT
from . import measure, python, reasons, record, summary


__all__ = ["main"]


def _quiet():
    """Keep what simulations say out of the way."""
    log = ROOT / "build" / "coverage" / f"benches-{os.getpid()}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 1)
    # Of a case whose Verilog is known, the component is made and left.
    warnings.simplefilter("ignore", UnusedElaboratable)


def _run_all(unit):
    return list(measure.run_all(unit, reasons.load()))


def benches(names, jobs):
    """Yield what the cases of benches reach, a :class:`~.measure.Bench` for each that ran."""
    with ProcessPoolExecutor(jobs, initializer=_quiet) as pool:
        for n, (unit, found) in enumerate(zip(names, pool.map(_run_all, names)), 1):
            ran = [case for case, bench in found if bench]
            left = [case for case, bench in found if not bench]
            print(f"{n} of {len(names)}: {unit}, cases {', '.join(ran)}" +
                  f"; {', '.join(left)} would add nothing" * bool(left), file=sys.stderr)
            yield from (bench for _, bench in found if bench)


def rtl(names, jobs):
    """Entries of the components that benches are for; of all components if none are named."""
    for name in names:
        cases(name)    # refuses what is no bench
    measured = list(benches(names or units(), jobs))
    merged = measure.components(measured)
    if names:
        # The own benches of other components did not run.
        subjects = set().union(*(bench.subjects for bench in measured))
        merged = {file: found for file, found in merged.items() if file in subjects}
    said = reasons.load()
    entries = summary.entries(merged, said)
    stale = [reason for reason in said if not reason.used and not names]
    if stale:
        raise UserError(f"{reasons.FILE.name}: nothing is explained by what it says of "
                        f"{stale[0].branch or stale[0].signal} in {stale[0].component}; remove it")
    return entries


def _print(entries):
    for file, entry in entries.items():
        print(f"{file}: " + ", ".join(
            "{0} of {2} {what} reached, {1} explained".format(*entry[what], what=what)
            for what in ("branches", "bits")))
        for name in entry["open"]["branches"]:
            print(f"  branch {name}")
        for name, bits in entry["open"]["bits"].items():
            print(f"  {name} [{bits}]")


def command(argv):
    parser = argparse.ArgumentParser(prog="python -m sim.coverage", description=__doc__)
    parser.add_argument("part", choices=["rtl", "python"])
    parser.add_argument("--unit", action="append", default=[],
                        help="rtl: a bench; print what it reaches, and record nothing")
    parser.add_argument("--accept", action="store_true", help="record it even if it is less")
    parser.add_argument("-j", "--jobs", type=int, default=os.cpu_count())
    parser.add_argument("tests", nargs="*", help="python: tests to run (default: all)")
    args = parser.parse_args(argv)

    recorded = record.load()
    before = recorded.get(args.part, {})
    if args.part == "rtl":
        now = {"components": rtl(args.unit, args.jobs)}
        less = summary.worse(before.get("components", {}), now["components"])
    else:
        now = {"files": python.entries(python.run(args.tests or python.TESTS, args.jobs))}
        less = python.worse(before.get("files", {}), now["files"])
    less = list(less)
    if args.unit:
        _print(now["components"])
    if less and not args.accept:
        print(*less, sep="\n", file=sys.stderr)
        return 1
    if not args.unit and not args.tests:
        record.save({**recorded, args.part: {"commit": record.commit(), **now}})
        document.write(Path("docs/coverage.md"))


def main(argv=None):
    """Run the command, return the exit code: 1 if coverage is less than it was."""
    return run_command("coverage", lambda: command(argv))


if __name__ == "__main__":
    sys.exit(main())
