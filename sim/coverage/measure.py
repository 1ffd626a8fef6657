"""Measure the coverage of benches: build each case with coverage points, simulate, read the
counts.
"""

import re
from collections import defaultdict
from dataclasses import dataclass, field

from ..checkers.attach import Checked
from ..harness.build import build, cases, component
from ..harness.runner import simulate
from ..mutate.owners import owner
from . import instrument
from .instrument import Branch


__all__ = ["Reached", "convert", "files", "read", "run", "run_all"]


@dataclass
class Reached:
    """What one or several simulations reached of a component.

    Attributes
    ----------
    branches : dict
        Whether each (line, kind) of :class:`~.instrument.Branch` was reached.
    bits : dict
        For each signal's name, two masks: the bits that it has, and those that rose and fell.
    """

    branches: dict = field(default_factory=dict)
    bits: dict = field(default_factory=dict)

    def add(self, other):
        """Add what another simulation reached. A point counts as reached if it was in either."""
        for key, reached in other.branches.items():
            self.branches[key] = self.branches.get(key, False) or reached
        for name, masks in other.bits.items():
            self.bits[name] = tuple(a | b for a, b in zip(self.bits.get(name, (0, 0)), masks))


def files(unit):
    """Files of the components that a bench answers for, relative to the checkout."""
    return {f"rtl/{name}.py" for name in owner(unit).files}


# A line of Verilator's coverage.dat: keys and values, and a count.
POINT = re.compile(r"\x01l\x02(\d+)\x01.*\x01o\x02[^\x01]*?(?:\[(\d+)\])?:(0->1|1->0)\x01.* (\d+)$")


def read(unit, text, counts):
    """What a simulation reached: a mapping from files to :class:`Reached`.

    Parameters
    ----------
    unit : :class:`str`
        The bench.
    text : :class:`str`
        Verilog, from :func:`~.instrument.convert`.
    counts : iterable of :class:`str`
        Lines of the `coverage.dat` that the simulation wrote.
    """
    moved = defaultdict(lambda: [0, 0])
    for line in counts:
        if match := POINT.search(line):
            number, bit, edge, count = match.groups()
            moved[int(number)][edge == "1->0"] |= (int(count) > 0) << int(bit or 0)
    found = defaultdict(Reached)
    for number, point in instrument.declared(text, files(unit)).items():
        rose, fell = moved[number]
        if isinstance(point, Branch):
            reached = Reached(branches={(point.line, point.kind): bool(rose)})
        else:
            reached = Reached(bits={point.name: ((1 << point.width) - 1, rose & fell)})
        found[point.file].add(reached)
    return dict(found)


def convert(unit, case):
    """Verilog of a case of a bench, with what is to be counted."""
    return instrument.convert(Checked(component(unit, case)), unit, files(unit))


def run(unit, case, text):
    """Build and simulate a case of a bench, with its Verilog; what it reached, as of
    :func:`read`.
    """
    built = build(
        unit, case, variant="coverage", args=instrument.ARGS, convert=lambda made, name: text
    )
    data = built.folder / "coverage.dat"
    data.unlink(missing_ok=True)
    simulate(built, disturbed=False)
    with data.open() as counts:
        # What was built: lines may have gone from `text`.
        return read(unit, (built.folder / f"{unit}.sv").read_text(), counts)


def run_all(unit, reasons=()):
    """Run the cases of a bench, in order.

    A case is left out if those before it have reached all that there is in it, but for what has a
    reason (a :class:`~.reasons.Reason`): it adds nothing.

    Returns what they reached, as of :func:`read`, and the cases that ran.
    """
    reached, ran = defaultdict(Reached), []
    for case in cases(unit):
        text = convert(unit, case)
        # What there is in it, as if nothing of it were reached.
        if any(
            _is_open(file, there, reached[file], reasons)
            for file, there in read(unit, text, ()).items()
        ):
            for file, found in run(unit, case, text).items():
                reached[file].add(found)
            ran.append(case)
    return dict(reached), ran


def _is_open(file, there, reached, reasons):
    """Whether a component has a point that is neither reached nor explained."""
    for line, kind in there.branches:
        if not reached.branches.get((line, kind)) and not any(
            reason.explains_branch(file, line, kind) for reason in reasons
        ):
            return True
    for name, (mask, _) in there.bits.items():
        mask &= ~reached.bits.get(name, (0, 0))[1]
        for reason in reasons:
            mask &= ~reason.explains_bits(file, name, mask)
        if mask:
            return True
    return False
