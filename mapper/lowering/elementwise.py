"""Sums, factors and gates, and what needs no instruction."""

from rtl.spec.isa import Func
from sw_ref.graph import Add, Gate, Scale
from sw_ref.sequences import gate

from ..nodes import Join, Rows, Times
from . import Lowering, lowers


@lowers(Add)
class LowerAdd(Lowering):
    """x + y, into x where it may."""

    in_place = True

    def emit(self, node, to):
        x, y = (to.at(name) for name in node.inputs)
        to.asm.vector(Func.MADD, to.at(node.name), y, 1.0, x, inner=node.size)


@lowers(Scale)
class LowerScale(Lowering):
    """x times a constant."""

    in_place = True

    def emit(self, node, to):
        to.asm.vector(
            Func.MADD, to.at(node.name), to.at(*node.inputs), node.factor, 0.0, inner=node.size
        )


@lowers(Times)
class LowerTimes(Lowering):
    """x times one number, which fills a line."""

    in_place = True

    def emit(self, node, to):
        x, factor = (to.at(name) for name in node.inputs)
        to.asm.vector(Func.MADD, to.at(node.name), x, ("fill", factor), 0.0, inner=node.size)


@lowers(Gate)
class LowerGate(Lowering):
    """A gate, as the sequence of its function: the gate and up rows are used up, and the last step,
    which does not read the gate's, writes the value."""

    early = (0,)

    def temporaries(self, node, config):
        written = {result for _, result, *_ in gate(node.function)}
        return dict.fromkeys(sorted(written - {"g", "up"}), node.size)

    def emit(self, node, to):
        g, up, *factor = (to.at(name) for name in node.inputs)
        scratch = {name: to.at(node.name, name) for name in self.temporaries(node, to.config)}
        areas = {"g": g, "up": up, **scratch}
        *steps, last = gate(node.function)
        if factor:
            areas["s"] = "fill", *factor
        else:
            steps = [step for step in steps if "s" not in step]
        to.asm.steps(steps, areas, inner=node.size)
        to.asm.steps([last], areas | {"g": to.at(node.name)}, inner=node.size)


@lowers(Rows)
class LowerRows(Lowering):
    """Rows lie where the product put them."""


@lowers(Join)
class LowerJoin(Lowering):
    """Parts were written where they belong."""
