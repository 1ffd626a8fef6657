"""Build a unit with Verilator and run its bench: ``python -m sim.harness.runner unpack --case
small``.
"""

import argparse
import os
import subprocess
import sys
from xml.etree import ElementTree

from cocotb_tools.check_results import get_results

from host.errors import run_command

from ..oracles.components import unasked
from ..tools import ROOT
from .build import BenchError, Runner, build, cases, tools


__all__ = ["run", "simulate"]


SECONDS = 560  # a test of a bench ends itself after more
MOST_SEEDS = (1 << 31) - 1
ZERO, RANDOM = 0, 2  # Verilator's numbers for what registers and memories begin with


def run(unit, case, *, seed=0, waves=False, only=None):
    """Build a case of a unit's bench, and :func:`simulate` it; returns how many tests passed."""
    return simulate(build(unit, case, waves=waves), seed=seed, only=only)


def simulate(
    built,
    *,
    seed=0,
    only=None,
    plusargs=(),
    before=(),
    cycles=None,
    seconds=SECONDS,
    log=None,
    disturbed=True,
):
    """Run the tests of a :class:`~.bench_build.Build`; returns how many passed.

    Before each test, a run of it is cut short and counts as one more
    (:mod:`sim.harness.interrupted`).

    Raises :exc:`BenchError` when a test fails, when there was none to run, or when all of them ran
    and none asked an oracle that :mod:`sim.oracles.components` lists for the bench.

    Parameters
    ----------
    seed : :class:`int`
        Seed of :func:`sim.harness.bench.rng`, and of the values with which registers and memories
        begin.
    only : :class:`str` or None
        Regular expression of the tests to run.
    plusargs : sequence of :class:`str`
        Options of the simulation, as `+name+value`.
    before : sequence of :class:`str`
        Modules that are imported before the bench.
    cycles : :class:`int` or None
        A test that simulates more of them fails. None: far more than any needs.
    seconds : :class:`float` or None
        A simulation that takes longer is ended.
    log : path or None
        What it says goes there.
    disturbed : :class:`bool`
        Whether anything comes before a reset: random registers, memories and inputs, and the runs
        that are cut short. Without, all of them begin at 0, so that no bit moves unless a test
        moves it.
    """
    unit, case, folder = built.unit, built.case, built.folder
    name = f"{unit}-{case}, seed {seed}"
    results, asked = folder / "results.xml", folder / "oracles"
    asked.unlink(missing_ok=True)
    environment = {
        "UNIT": unit,
        "CASE": case,
        "SEED": str(seed),
        "INPUTS": ",".join(built.inputs),
        "ORACLES": str(asked),
        "DISTURBED": str(int(disturbed)),
        "GPI_LOG_LEVEL": "WARNING",
        # cocotb would have pytest compile torch again for each simulation, to rewrite its asserts.
        "COCOTB_REWRITE_ASSERTION_FILES": "sim/*.py",
    }
    if cycles is not None:
        environment["LIMIT"] = str(cycles)
    try:
        with tools():
            # Not as extra_env: there what is set already wins, such as make's own UNIT.
            os.environ.update(environment)
            Runner(seconds).test(
                test_module=[*before, "sim.harness.interrupted"],
                hdl_toplevel=unit,
                hdl_toplevel_lang="verilog",
                build_dir=folder,
                test_dir=folder,
                results_xml=str(results),
                seed=seed,
                waves=built.waves,
                test_filter=only,
                timescale=("1ns", "1ps"),
                log_file=log,
                plusargs=[
                    f"+verilator+rand+reset+{RANDOM if disturbed else ZERO}",
                    f"+verilator+seed+{seed % MOST_SEEDS + 1}",
                    *plusargs,
                ],
            )
        count, failed = get_results(results)
    except subprocess.TimeoutExpired as error:
        raise BenchError(
            f"{name}: the simulation has not ended after {seconds:g} seconds"
        ) from error
    except (SystemExit, RuntimeError) as error:
        raise BenchError(f"{name}: the simulation did not finish ({error})") from error
    if built.waves:
        print(f"Waves: {(folder / 'dump.fst').relative_to(ROOT)}")
    if failed:
        raise BenchError(f"{name}: {failed} of {count} tests failed: {_first_failure(results)}")
    if not count:
        raise BenchError(f"{name}: no tests were run")
    if only is None and (missing := unasked(unit, asked)):
        raise BenchError(
            f"{name}: the bench has not asked {', '.join(missing)}, which "
            "sim/oracles/components.py lists for it"
        )
    return count


def _first_failure(results):
    """The first test that failed, and the first line of why."""
    for test in ElementTree.parse(results).iter("testcase"):
        for failure in test.iter("failure"):
            return f"{test.get('name')}: {(failure.get('message') or '').strip().split(chr(10))[0]}"


def command(argv):
    parser = argparse.ArgumentParser(prog="python -m sim.harness.runner", description=__doc__)
    parser.add_argument("unit", help="a bench: a file within sim/benches, without .py")
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
