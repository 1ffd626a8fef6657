"""Norms, whole and in halves."""

from rtl.spec.isa import Func
from sw_ref.graph import Norm
from sw_ref.sequences import norm_scale

from ..nodes import Reciprocal, Weighted
from . import Lowering, lowers


def weigh(node, to):
    """x times the gain."""
    to.asm.vector(
        Func.MADD, to.at(node.name), to.at(*node.inputs), to.gain(node), 0.0, inner=node.size
    )


def reciprocal(node, to, result, size):
    """1 / rms(x) of `size` numbers, in all words of a line."""
    x = to.at(*node.inputs)
    areas = {name: to.at(node.name, name) for name in "svhu"} | {"r": result}
    to.asm.vector(Func.DOT, areas["s"], x, x, inner=size)
    to.asm.steps(norm_scale(size, node.eps), areas, inner=to.config.lanes)


@lowers(Weighted)
class LowerWeighted(Lowering):
    """x times the gain."""

    def emit(self, node, to):
        weigh(node, to)


@lowers(Reciprocal)
class LowerReciprocal(Lowering):
    """1 / rms(x), which fills a line."""

    def words(self, node, config):
        return config.lanes

    def temporaries(self, node, config):
        return dict.fromkeys("svhu", config.lanes)

    def emit(self, node, to):
        reciprocal(node, to, to.at(node.name), to.at(*node.inputs).size)


@lowers(Norm)
class LowerNorm(Lowering):
    """x times the gain, times 1 / rms(x)."""

    begins_early = True

    def temporaries(self, node, config):
        return dict.fromkeys("svhur", config.lanes)

    def emit(self, node, to):
        weigh(node, to)
        rms, normed = to.at(node.name, "r"), to.at(node.name)
        reciprocal(node, to, rms, node.size)
        to.asm.vector(Func.MADD, normed, normed, ("fill", rms), 0.0, inner=node.size)
