"""What benches reach: each case is built with its points marked, simulated, and its counts read."""

import re
from collections import defaultdict
from dataclasses import dataclass, field

from ..bench_build import build, cases, component
from ..runner import simulate
from . import instrument
from .instrument import Branch


__all__ = ["Reached", "Bench", "read", "run", "run_all", "components"]


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


@dataclass
class Bench:
    """What a bench, or a case of it, reached.

    Attributes
    ----------
    unit : :class:`str`
    subjects : set of :class:`str`
        Files of the components that it is for.
    files : dict
        :class:`Reached` for each file.
    """
    unit: str
    subjects: set
    files: dict


# A line of Verilator's coverage.dat: keys and values, and a count.
POINT = re.compile(r"\x01l\x02(\d+)\x01.*\x01o\x02[^\x01]*?(?:\[(\d+)\])?:(0->1|1->0)\x01.* (\d+)$")


def read(unit, text, counts):
    """What a simulation reached: a :class:`Bench`.

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
    files = defaultdict(Reached)
    for number, point in instrument.declared(text).items():
        rose, fell = moved[number]
        if isinstance(point, Branch):
            reached = Reached(branches={(point.line, point.kind): bool(rose)})
        else:
            reached = Reached(bits={point.name: ((1 << point.width) - 1, rose & fell)})
        files[point.file].add(reached)
    return Bench(unit, instrument.subjects(text), dict(files))


def run(unit, case, text=None):
    """Build and simulate a case of a bench; returns what it reached, a :class:`Bench`.

    `text` is its Verilog, if that is known.
    """
    built = build(unit, case, variant="coverage", args=instrument.ARGS,
                  convert=lambda made, name: text or instrument.convert(made, name))
    data = built.folder / "coverage.dat"
    data.unlink(missing_ok=True)
    simulate(built, disturbed=False)
    with data.open() as counts:
        return read(unit, (built.folder / f"{unit}.sv").read_text(), counts)


def run_all(unit, reasons=()):
    """Run the cases of a bench, in order; yields each case, and what it reached or None.

    A case is left out if those before it have reached all that there is in it, but for what has a
    reason (a :class:`~.reasons.Reason`): it adds nothing.
    """
    reached = defaultdict(Reached)
    for case in cases(unit):
        text = instrument.convert(component(unit, case), unit)
        # What this one has, as if nothing of it were reached.
        if any(_is_open(file, found, reached[file], reasons)
               for file, found in read(unit, text, ()).files.items()):
            bench = run(unit, case, text)
            for file, found in bench.files.items():
                reached[file].add(found)
            yield case, bench
        else:
            yield case, None


def _is_open(file, found, reached, reasons):
    """Whether a component has a point that is neither reached nor explained."""
    for line, kind in found.branches:
        if not reached.branches.get((line, kind)) and \
                not any(reason.explains_branch(file, line, kind) for reason in reasons):
            return True
    for name, (mask, _) in found.bits.items():
        mask &= ~reached.bits.get(name, (0, 0))[1]
        for reason in reasons:
            mask &= ~reason.explains_bits(file, name, mask)
        if mask:
            return True
    return False


def components(benches):
    """Merge what benches reached: for each component's file, the benches that count, and what
    they reached.

    Of a component that has benches of its own, others do not count.
    """
    own = defaultdict(set)
    for bench in benches:
        for file in bench.subjects:
            own[file].add(bench.unit)
    merged = {}
    for bench in benches:
        for file, reached in bench.files.items():
            if bench.unit in own.get(file, {bench.unit}):
                units, total = merged.setdefault(file, (set(), Reached()))
                units.add(bench.unit)
                total.add(reached)
    return dict(sorted(merged.items()))
