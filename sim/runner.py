"""Build a unit with Verilator and run its bench: ``python -m sim.runner requant --case small``."""

import argparse
import subprocess
import sys

from cocotb_tools.check_results import get_results

from host.errors import run_command

from .bench_build import BenchError, build, cases, Runner, tools
from .oracles.components import unasked
from .tools import ROOT


__all__ = ["run", "simulate"]


def run(unit, case, *, seed=0, waves=False, only=None):
    """Build a case of a unit's bench, and :func:`simulate` it; returns how many tests passed."""
    return simulate(build(unit, case, waves=waves), seed=seed, only=only)


def simulate(built, *, seed=0, only=None, plusargs=(), before=(), limit=None, log=None):
    """Run the tests of a :class:`~.bench_build.Build`; returns how many passed.

    Raises :exc:`BenchError` when a test fails, when there was none to run, or when all of them ran
    and none asked an oracle that :mod:`sim.oracles.components` lists for the bench.

    Parameters
    ----------
    seed : :class:`int`
        Seed of :func:`sim.bench.rng`.
    only : :class:`str` or None
        Regular expression of the tests to run.
    plusargs : sequence of :class:`str`
        Options of the simulation, as `+name+value`.
    before : sequence of :class:`str`
        Modules that are imported before the bench.
    limit : :class:`float` or None
        Seconds after which a simulation is stopped, and has failed.
    log : path or None
        What it says goes there.
    """
    unit, case, folder = built.unit, built.case, built.folder
    results, asked = folder / "results.xml", folder / "oracles"
    asked.unlink(missing_ok=True)
    try:
        with tools():
            Runner(limit).test(
                test_module=[*before, f"sim.benches.{unit}"], hdl_toplevel=unit, hdl_toplevel_lang="verilog",
                build_dir=folder, test_dir=folder, results_xml=str(results), seed=seed,
                waves=built.waves, test_filter=only, timescale=("1ns", "1ps"), plusargs=plusargs,
                log_file=log,
                extra_env={"CASE": case, "SEED": str(seed), "INPUTS": ",".join(built.inputs),
                           "ORACLES": str(asked), "GPI_LOG_LEVEL": "WARNING"})
        count, failed = get_results(results)
    except (SystemExit, RuntimeError, subprocess.TimeoutExpired) as error:
        raise BenchError(f"{unit}-{case}, seed {seed}: the simulation did not finish ({error})") \
            from error
    if built.waves:
        print(f"Waves: {(folder / 'dump.fst').relative_to(ROOT)}")
    if failed or not count:
        raise BenchError(f"{unit}-{case}, seed {seed}: {failed} of {count} tests failed"
                         if count else f"{unit}-{case}: no tests were run")
    if only is None and (missing := unasked(unit, asked)):
        raise BenchError(f"{unit}-{case}: the bench has not asked {', '.join(missing)}, which "
                         "sim/oracles/components.py lists for it")
    return count


def command(argv):
    parser = argparse.ArgumentParser(prog="python -m sim.runner", description=__doc__)
    parser.add_argument("unit", help="a bench: a file in sim/benches, without .py")
    parser.add_argument("--case", help="one of the bench's CASES (default: all)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", metavar="REGEX", help="tests to run")
    parser.add_argument("--waves", action="store_true", help="record an FST trace")
    args = parser.parse_args(argv)
    for case in [args.case] if args.case else cases(args.unit):
        count = run(args.unit, case, seed=args.seed, waves=args.waves, only=args.only)
        print(f"{args.unit}-{case}, seed {args.seed}: {count} tests passed")


def main(argv=None):
    """Run the command, return the exit code."""
    return run_command("sim", lambda: command(argv))


if __name__ == "__main__":
    sys.exit(main())
