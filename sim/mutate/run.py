"""Runs a bench on mutants of its component, and says which it kills."""

import os
import time
from contextlib import contextmanager

from ..bench_build import BenchError, build, component
from ..checkers.attach import Checked
from ..runner import SECONDS, simulate
from .netlist import VARIABLE, insert, netlist, simulated


__all__ = ["Subject"]


PATIENCE = 5      # times the good design's run: a mutant that takes longer hangs, and is killed
LEAST = 20.0      # seconds


@contextmanager
def _variables(**values):
    """Environment variables, as they were afterwards."""
    saved = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in saved.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})


class Subject:
    """A case of a bench, whose component is built once with all its mutants.

    Parameters
    ----------
    unit, case : :class:`str`

    Attributes
    ----------
    netlist : :class:`str`
        The good component's cells.
    mutated : :class:`str`
        The same with the mutants, once they are inserted.
    """
    def __init__(self, unit, case):
        self.unit, self.case = unit, case
        self.component = component(unit, case)
        self.netlist = netlist(Checked(self.component), unit)
        self._built = None

    def insert(self, mutants):
        """Build the component with mutants, numbered from 1 on, and run the good one.

        Raises :exc:`BenchError` when the good one fails: then nothing can be said of mutants.
        """
        self.mutated = insert(self.netlist, self.unit, mutants)
        verilog = simulated(self.mutated, self.unit)
        self._built = build(self.unit, self.case, variant="mutants",
                            rewrite=lambda text: verilog)
        start = time.perf_counter()
        self._simulate(0, SECONDS)
        self._limit = max(LEAST, PATIENCE * (time.perf_counter() - start))

    def kills(self, number):
        """Whether the bench fails on a mutant, or never ends on it."""
        try:
            self._simulate(number, self._limit)
        except BenchError:
            return True
        return False

    def _simulate(self, number, limit):
        with _variables(**{VARIABLE: str(number), "COCOTB_MAX_FAILURES": "1"}):
            simulate(self._built, seconds=limit, log=self._built.folder / f"mutant{number}.log")
