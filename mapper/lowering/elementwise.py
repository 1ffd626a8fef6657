"""Sums, factors and gates, and what needs no instruction."""

from rtl.spec.isa import Func
from sw_ref.graph import Add, Gate, Scale
from sw_ref.sequences import gate

from ..nodes import Biased, Join, Rows, Times
from . import Lowering, lowers


@lowers(Add)
class LowerAdd(Lowering):
    """x + y times a factor, into x where it may."""

    in_place = True

    def emit(self, node, to):
        x, y, *late = (to.at(name) for name in node.inputs)
        factor = ("fill", *late) if late else node.factor
        to.asm.vector(Func.MADD, to.at(node.name), y, factor, x, inner=node.size)


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


@lowers(Biased)
class LowerBiased(Lowering):
    """x, times one number if there is one, plus the bias."""

    in_place = True

    def emit(self, node, to):
        x, *late = (to.at(name) for name in node.inputs)
        factor = ("fill", *late) if late else 1.0
        bias = to.vector(node, node.bias)
        to.asm.vector(Func.MADD, to.at(node.name), x, factor, bias, inner=node.size)


@lowers(Gate)
class LowerGate(Lowering):
    """A gate, as the sequence of its function: the gate and up rows are used up, and the last step,
    which does not read the gate's, writes the value."""

    early = (0,)

    def temporaries(self, node, config):
        written = {result for _, result, *_ in gate(node.function)}
        return dict.fromkeys(sorted(written - {"g", "up"}), node.size)

    def emit(self, node, to):
        g, *rest = (to.at(name) for name in node.inputs)
        up, *factor = [1.0, *rest] if node.alone else rest
        scratch = {name: to.at(node.name, name) for name in self.temporaries(node, to.config)}
        areas = {"g": g, "up": up, **scratch}
        *steps, last = gate(node.function)
        if factor:
            areas["s"] = "fill", *factor
        # What is not there is not multiplied.
        steps = [
            step
            for step in steps
            if (factor or "s" not in step) and not (node.alone and step[1] == "up")
        ]
        to.asm.steps(steps, areas, inner=node.size)
        to.asm.steps([last], areas | {"g": to.at(node.name)}, inner=node.size)


@lowers(Rows)
class LowerRows(Lowering):
    """Rows lie where the product put them."""


@lowers(Join)
class LowerJoin(Lowering):
    """Parts were written where they belong."""
