"""Run a bench on mutants of its component; report which it kills."""

import json
import os
from contextlib import contextmanager

from ..checkers.attach import Checked
from ..harness.build import build, component
from ..harness.runner import simulate
from .forks import NUMBERS, VERDICTS
from .netlist import insert, netlist, simulated


__all__ = ["Subject"]


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
        """Build the component with mutants, numbered from 1 on."""
        self.mutated = insert(self.netlist, self.unit, mutants)
        verilog = simulated(self.mutated, self.unit)
        self._built = build(self.unit, self.case, variant="mutants", rewrite=lambda text: verilog)

    def killed(self, numbers):
        """Numbers of the mutants, of some, on which the bench fails or never ends.

        Raises :exc:`BenchError` when the good one fails: then nothing can be said of mutants.
        """
        folder = self._built.folder
        with _variables(**{NUMBERS: ",".join(map(str, numbers)), "COCOTB_MAX_FAILURES": "1"}):
            simulate(
                self._built, before=["sim.mutate.forks"], seconds=None, log=folder / "mutants.log"
            )
        verdicts = json.loads((folder / VERDICTS).read_text())
        return {number for number in numbers if not verdicts[str(number)]}
