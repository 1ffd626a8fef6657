"""Sums, factors and gates, and what needs no instruction."""

from rtl.spec.isa import Func
from sw_ref.graph import Add, Gate, Scale
from sw_ref.sequences import SILU_GATE

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
    """SiLU gate, as a sequence: the gate and up rows are used up, and the last step writes the
    value."""

    early = (0,)
    scaled = 2  # steps that multiply a factor in

    def temporaries(self, node, config):
        return dict.fromkeys("rtu", node.size)

    def emit(self, node, to):
        if node.function != "silu":
            raise ValueError(f"{node.name!r} must have the function 'silu', not {node.function!r}")
        gate, up, *factor = (to.at(name) for name in node.inputs)
        areas = {"g": gate, "up": up, **{name: to.at(node.name, name) for name in "rtu"}}
        *steps, last = SILU_GATE
        if factor:
            areas["s"] = "fill", *factor
        else:
            steps = steps[self.scaled :]
        to.asm.steps(steps, areas, inner=node.size)
        to.asm.steps([last], areas | {"g": to.at(node.name)}, inner=node.size)


@lowers(Rows)
class LowerRows(Lowering):
    """Rows lie where the product put them."""


@lowers(Join)
class LowerJoin(Lowering):
    """Parts were written where they belong."""
