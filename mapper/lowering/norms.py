"""Norms, whole and in halves."""

from rtl.spec.isa import Func
from sw_ref.graph import LayerNorm, Norm
from sw_ref.sequences import centred, norm_scale

from ..nodes import Reciprocal, Weighted
from . import Lowering, lowers


def weigh(node, to):
    """x times the gain."""
    to.asm.vector(
        Func.MADD,
        to.at(node.name),
        to.at(*node.inputs),
        to.vector(node, node.gain),
        0.0,
        inner=node.size,
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
    """x times the gain, times 1 / rms(x), of each part."""

    begins_early = True

    def temporaries(self, node, config):
        return dict.fromkeys("svhur", node.heads * config.lanes)

    def emit(self, node, to):
        lanes, size, vector = to.config.lanes, node.gain_size, to.asm.vector
        x, normed = (to.at(name) for name in (*node.inputs, node.name))
        areas = {name: to.at(node.name, name) for name in "svhur"}
        gain, rms, steps = to.vector(node, node.gain), ("fill", areas["r"]), to.asm.steps

        def parts(**strides):
            return {"inner": size, "outer": node.heads, "strides": strides}

        vector(Func.MADD, normed, x, gain, 0.0, **parts(d=size, a=size))
        vector(Func.DOT, areas["s"], x, x, **parts(d=lanes, a=size, b=size))
        steps(norm_scale(size, node.eps), areas, inner=node.heads * lanes)
        vector(Func.MADD, normed, normed, rms, 0.0, **parts(d=size, a=size, b=lanes))


@lowers(LayerNorm)
class LowerLayerNorm(Lowering):
    """x less its mean, times the gain, times 1 / its deviation, plus the bias."""

    begins_early = True

    def temporaries(self, node, config):
        return {"d": node.size, **dict.fromkeys("msvhur", config.lanes)}

    def emit(self, node, to):
        size, (x, normed) = node.size, (to.at(name) for name in (*node.inputs, node.name))
        gain, bias = (to.vector(node, name) for name in (node.gain, node.bias))
        areas = {name: to.at(node.name, name) for name in "dmsvhur"}
        d, m, vector = areas["d"], areas["m"], to.asm.vector
        vector(Func.DOT, m, x, 1.0, inner=size)
        to.asm.steps(centred(size), {"d": d, "s": ("fill", m), "x": x}, inner=size)
        vector(Func.DOT, areas["s"], d, d, inner=size)
        to.asm.steps(norm_scale(size, node.eps), areas, inner=to.config.lanes)
        vector(Func.MADD, normed, d, gain, 0.0, inner=size)
        vector(Func.MADD, normed, normed, ("fill", areas["r"]), bias, inner=size)
