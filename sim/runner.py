"""Build a unit with Verilator and run its bench: ``python -m sim.runner requant --case small``."""

import argparse
import hashlib
import os
import shutil
import sys
from importlib import import_module

from amaranth.back import verilog
from amaranth.lib.wiring import In
from cocotb_tools.check_results import get_results
from cocotb_tools.runner import Verilator

from host.errors import UserError, run_command
from host.files import writing

from .tools import ROOT, WARNINGS, environment, verilator


__all__ = ["BenchError", "cases", "run"]


class BenchError(UserError):
    """A bench does not exist, does not build, or failed."""


# Verilator's own files, the same for every unit, are three quarters of a small unit's build.
RUNTIME = ("verilated.o", "verilated_vpi.o", "verilated_threads.o", "verilated_fst_c.o")


# A bench runs mostly Python, and is built for longer than it runs.
OPTIMIZE = ["OPT_FAST=-O0", "OPT_SLOW=-O0"]


class _Runner(Verilator):
    """cocotb's runner, with ports alone visible: far less to compile, and faster."""
    def _build_command(self):
        build, make = super()._build_command()
        at = build.index("--public-flat-rw")
        build[at:at + 1] = ["--public-depth", "1"]
        # The copied runtime must look newer than the makefile that Verilator writes.
        return [build, ["touch", "-c", *(str(self.build_dir / name) for name in RUNTIME)],
                [*make, *OPTIMIZE]]

    def _waves_file(self):
        return "dump.fst"


def _copy_runtime(source, target):
    target.mkdir(parents=True, exist_ok=True)
    for name in RUNTIME:
        if (source / name).exists() and not (target / name).exists():
            # Another run may be doing the same: what has this name is always whole.
            part = target / f"{name}.{os.getpid()}"
            shutil.copy(source / name, part)
            part.replace(target / name)


def cases(unit):
    """Cases of the bench `sim/benches/<unit>.py`: a mapping from names to factories."""
    units = sorted(p.stem for p in (ROOT / "sim" / "benches").glob("[!_]*.py"))
    if unit not in units:
        raise BenchError(f"Unit must be one of {', '.join(units)}, not {unit!r}")
    return import_module(f"sim.benches.{unit}").CASES


def run(unit, case, *, seed=0, waves=False, only=None):
    """Run the tests of one case of a unit's bench; returns how many passed.

    The build is reused while the Verilog stays the same. Raises :exc:`BenchError` when a test
    fails, or when there was none to run.

    Parameters
    ----------
    seed : :class:`int`
        Seed of :func:`sim.bench.rng`.
    waves : :class:`bool`
        Record an FST trace.
    only : :class:`str` or None
        Regular expression of the tests to run.
    """
    factories = cases(unit)
    if case not in factories:
        raise BenchError(f"Case of {unit} must be one of {', '.join(factories)}, not {case!r}")
    component = factories[case]()
    text = verilog.convert(component, name=unit, strip_internal_attrs=True)
    inputs = ["__".join(map(str, path)) for path, member, _ in
              component.signature.flatten(component) if member.flow == In]

    folder = ROOT / "build" / "benches" / f"{unit}-{case}{'-waves' if waves else ''}"
    args = ["--x-assign", "fast", "--x-initial", "fast", "--noassert", *WARNINGS,
            *(["--trace-fst"] if waves else [])]
    tools = [str(verilator()), str(verilator().stat().st_mtime_ns), sys.executable, *args, *OPTIMIZE]
    digest = hashlib.sha256("\n".join([text, *tools]).encode()).hexdigest()
    runtime = folder.parent / ".runtime" / hashlib.sha256("\n".join(tools).encode()).hexdigest()[:12]
    stamp, source = folder / "digest", folder / f"{unit}.v"

    saved = dict(os.environ)
    os.environ.update(environment())
    # It would make cocotb's runner name and check results in its own way.
    os.environ.pop("PYTEST_CURRENT_TEST", None)
    runner = _Runner()
    try:
        if not stamp.exists() or stamp.read_text() != digest:
            with writing(folder):
                shutil.rmtree(folder, ignore_errors=True)
                _copy_runtime(runtime, folder)
                source.write_text(text)
                runner.build(sources=[source], hdl_toplevel=unit, build_dir=folder, build_args=args,
                             timescale=("1ns", "1ps"), waves=waves, log_file=folder / "build.log")
                _copy_runtime(folder, runtime)
                stamp.write_text(digest)
        results = folder / "results.xml"
        runner.test(test_module=f"sim.benches.{unit}", hdl_toplevel=unit, hdl_toplevel_lang="verilog",
                    build_dir=folder, test_dir=folder, results_xml=str(results), seed=seed,
                    waves=waves, test_filter=only, timescale=("1ns", "1ps"),
                    extra_env={"CASE": case, "SEED": str(seed), "INPUTS": ",".join(inputs),
                               "GPI_LOG_LEVEL": "WARNING"})
        count, failed = get_results(results)
    except (SystemExit, RuntimeError) as error:
        log = folder / "build.log"
        hint = f"; see {log.relative_to(ROOT)}" if log.exists() and not stamp.exists() else ""
        raise BenchError(f"{unit}-{case}, seed {seed}: the simulation did not "
                         f"{'finish' if stamp.exists() else 'build'} ({error}){hint}") from error
    finally:
        os.environ.clear()
        os.environ.update(saved)
    if waves:
        print(f"Waves: {(folder / 'dump.fst').relative_to(ROOT)}")
    if failed or not count:
        raise BenchError(f"{unit}-{case}, seed {seed}: {failed} of {count} tests failed"
                         if count else f"{unit}-{case}: no tests were run")
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
