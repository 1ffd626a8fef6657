"""Build a component with Verilator for its cocotb bench."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from amaranth.lib.wiring import In
from cocotb_tools.runner import Verilator

from host.errors import UserError
from host.files import writing

from ..checkers.attach import checked_verilog, plain_verilog
from ..checkers.rules import PLACES
from ..runtime import OBJECTS, Runtime
from ..tools import ROOT, WARNINGS, environment, verilator


__all__ = ["BenchError", "Build", "build", "cases", "component", "Runner", "tools", "units"]


class BenchError(UserError):
    """A bench does not exist, does not build, or failed."""


# A bench runs mostly Python, and is built for longer than it runs.
OPTIMIZE = ["OPT_FAST=-O0", "OPT_SLOW=-O0"]


# What all C++ of a bench includes. Compiled ahead, it takes a third of the time that it takes as
# text, which is most of what a small unit takes.
PRELUDE = """\
#ifndef PRELUDE
#define PRELUDE
#include <memory>
#include <string>
#include "verilated.h"
#include "verilated_vpi.h"
#endif
"""
# Beside the rules of Verilator's makefile, for the same options.
PRELUDE_RULE = """\
prelude:
\t$(CXX) $(OPT_FAST) $(CXXFLAGS) $(CPPFLAGS) -x c++-header -o $(TO).$$$$ $(FROM) \\
\t    && mv $(TO).$$$$ $(TO)
"""


class Runner(Verilator):
    """cocotb's runner, with ports alone visible: far less to compile, and faster.

    Parameters
    ----------
    seconds : :class:`float` or None
        A command that takes longer raises :exc:`subprocess.TimeoutExpired`.
    prelude : path or None
        Header that all C++ of a build includes; it is compiled ahead if it has not been.
    """

    def __init__(self, seconds=None, prelude=None):
        super().__init__()
        self.seconds, self.prelude = seconds, prelude

    def _execute_cmds(self, cmds, cwd, stdout=None):
        for command in cmds:
            done = subprocess.run(
                command,
                cwd=cwd,
                env=self.env,
                stdout=stdout,
                stderr=stdout and subprocess.STDOUT,
                timeout=self.seconds,
            )
            if done.returncode:
                raise RuntimeError(f"{Path(command[0]).name} ended with code {done.returncode}")

    def _build_command(self):
        build, make = super()._build_command()
        at = build.index("--public-flat-rw")
        build[at : at + 1] = ["--public-depth", "1"]
        build[1:1] = ["-CFLAGS", f"-include {self.prelude}"]
        # The copied runtime must look newer than the makefile that Verilator writes.
        return [
            build,
            ["touch", "-c", *(str(self.build_dir / name) for name in OBJECTS)],
            *self._compile_prelude(make),
            [*make, *OPTIMIZE],
        ]

    def _compile_prelude(self, make):
        compiled = self.prelude.with_name(f"{self.prelude.name}.gch")
        if not compiled.exists():
            rule = self.build_dir / "prelude.mk"
            rule.write_text(PRELUDE_RULE)
            words = [f"FROM={self.prelude}", f"TO={compiled}", "prelude"]
            yield [*make, "-f", str(rule), *OPTIMIZE, *words]

    def _waves_file(self):
        return "dump.fst"


def units():
    """Names of all benches: files anywhere in sim/benches."""
    return sorted(path.stem for path in (ROOT / "sim" / "benches").rglob("[!_]*.py"))


def bench(unit):
    """The bench of a unit, a module: `sim/benches/<folder>/<unit>.py`, in the folder that the
    component has in rtl.
    """
    found = list((ROOT / "sim" / "benches").rglob(f"{unit}.py"))
    if not found or unit not in units():
        raise BenchError(f"Unit must be one of {', '.join(units())}, not {unit!r}")
    return import_module(".".join(found[0].relative_to(ROOT).with_suffix("").parts))


def cases(unit):
    """Cases of a unit's bench: a mapping from names to factories."""
    return bench(unit).CASES


def component(unit, case):
    """The component that a case of a bench is for."""
    factories = cases(unit)
    if case not in factories:
        raise BenchError(f"Case of {unit} must be one of {', '.join(factories)}, not {case!r}")
    return factories[case]()


@dataclass(frozen=True)
class Build:
    """A verilated component.

    Attributes
    ----------
    unit, case : :class:`str`
    folder : path
        Where it was built, and where its simulations leave their files.
    inputs : tuple of :class:`str`
        Names of the ports that a bench drives, without clock and reset.
    waves : :class:`bool`
        Whether it can record an FST trace.
    """

    unit: str
    case: str
    folder: Path
    inputs: tuple
    waves: bool = False


@contextmanager
def tools():
    """Environment variables in which cocotb's runner finds its tools; as they were afterwards."""
    saved = dict(os.environ)
    os.environ.update(environment())
    # It would make cocotb's runner name and check results in its own way.
    os.environ.pop("PYTEST_CURRENT_TEST", None)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(saved)


def build(unit, case, *, variant="", convert=plain_verilog, rewrite=None, args=(), waves=False):
    """Build a component of a bench; returns a :class:`Build`.

    It is reused while its Verilog and the tools stay the same. Raises :exc:`BenchError`.

    Parameters
    ----------
    variant : :class:`str`
        Name of a build that differs from the plain one, and is kept beside it.
    convert : callable
        Takes the component with its checkers, and a name for it; returns Verilog.
    rewrite : callable or None
        Takes that Verilog; returns what to build instead.
    args : sequence of :class:`str`
        Further options for Verilator.
    waves : :class:`bool`
        Make it able to record an FST trace.
    """
    made = component(unit, case)
    inputs = tuple(
        "__".join(map(str, path))
        for path, member, _ in made.signature.flatten(made)
        if member.flow == In
    )
    text, places = checked_verilog(made, unit, convert, rewrite)

    name = "-".join(filter(None, [unit, case, variant, "waves" if waves else ""]))
    folder = ROOT / "build" / "benches" / name
    args = [
        "--x-assign",
        "fast",
        "--x-initial",
        "unique",
        "--noassert",
        "--output-split",
        "0",
        *WARNINGS,
        *args,
        *(["--trace-fst"] if waves else []),
    ]
    used = [
        str(verilator()),
        str(verilator().stat().st_mtime_ns),
        sys.executable,
        *args,
        *OPTIMIZE,
        PRELUDE,
    ]
    digest = hashlib.sha256("\n".join([text, *used]).encode()).hexdigest()
    runtime = Runtime(folder.parent / ".runtime", used)
    stamp, source = folder / "digest", folder / f"{unit}.sv"
    if not stamp.exists() or stamp.read_text() != digest:
        with tools(), writing(folder):
            shutil.rmtree(folder, ignore_errors=True)
            runtime.give(folder)
            source.write_text(text)
            (folder / PLACES).write_text(json.dumps(places))
            try:
                Runner(prelude=runtime.file("prelude.hpp", PRELUDE)).build(
                    sources=[source],
                    hdl_toplevel=unit,
                    build_dir=folder,
                    build_args=args,
                    timescale=("1ns", "1ps"),
                    waves=waves,
                    log_file=folder / "build.log",
                )
            except (SystemExit, RuntimeError) as error:
                raise BenchError(
                    f"{unit}-{case}: did not build ({error}); see "
                    f"{(folder / 'build.log').relative_to(ROOT)}"
                ) from error
            runtime.keep(folder)
            stamp.write_text(digest)
    return Build(unit, case, folder, inputs, waves)
