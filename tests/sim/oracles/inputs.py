"""Ordinary inputs of each oracle, and how both implementations might misread what it computes."""

from importlib import import_module

import numpy as np

from rtl.spec.isa import Func, WeightFormat
from sim.benches import top
from sim.oracles.oracle import Oracle


__all__ = ["ORACLES", "INPUTS", "MISREAD", "inputs_of"]


MODULES = ("fp", "linear", "vector", "attention", "program")
ORACLES = {
    each.name: each
    for name in MODULES
    for each in vars(import_module(f"sim.oracles.{name}")).values()
    if isinstance(each, Oracle)
}


def floats(*shape, seed=1):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def ints(limit, *shape):
    return np.random.default_rng(1).integers(-limit, limit + 1, shape)


def exponents(*shape):
    return np.full(shape, 127, np.uint8)


HEADS = (ints(32767, 2, 64), exponents(2) - 2, ints(127, 40, 64), exponents(40))
# Ordinary inputs of each oracle, for which each claims something about all that comes out.
INPUTS = {
    "fp.ADD": (floats(50), floats(50)[::-1]),
    "fp.MULTIPLY": (floats(50), floats(50)[::-1]),
    "fp.FROM_INT": (ints(1 << 40, 50), ints(20, 50)),
    "fp.LOAD": (floats(50),),
    "linear.WEIGHTS": (
        WeightFormat.U4,
        abs(ints(15, 6, 64)),
        abs(ints(255, 6, 2)),
        ints(127, 6, 2),
        3,
    ),
    "linear.PRODUCTS": (ints(127, 6, 32), ints(127, 2, 32)),
    "linear.ALIGNMENT": (abs(ints(255, 3, 4)),),
    "linear.GROUP_SUMS": (
        ints(1 << 18, 2, 6),
        ints(4000, 2),
        abs(ints(255, 6)),
        ints(127, 6),
        abs(ints(15, 2)),
    ),
    "linear.EXACT_SUMS": (ints(3000, 6, 64), ints(127, 2, 64), exponents(2, 2)),
    "linear.ROW_SCALE": (ints(1 << 40, 6), floats(6), np.full(6, 127)),
    "linear.LINEAR": (ints(3000, 6, 64), floats(6), floats(2, 64)),
    "linear.EMBEDDING": (ints(3000, 6, 64), floats(6), 4),
    "linear.BEST_LOGITS": (floats(100),),
    "vector.ELEMENTWISE": (Func.MADD, floats(50), floats(50)[::-1], floats(50)),
    "vector.DOT": (floats(3, 100), floats(3, 100)),
    "vector.QUANTIZE": (floats(3, 64), 32, 8),
    "vector.RECIPROCALS": (abs(floats(50)),),
    "vector.RMS_NORM": (floats(3, 64), floats(64), 1e-5),
    "vector.SILU": (floats(50), floats(50)[::-1], floats(50, seed=2)),
    "vector.ROTARY": tuple(floats(50, seed=n) for n in range(4)),
    "attention.SCORES": HEADS,
    "attention.CAPPED": (ints(1 << 18, 2, 40), 50.0),
    "attention.WEIGHTS": (ints(4000, 2, 40), exponents(40)),
    "attention.ACCUMULATE": (abs(ints(3, 4, 2, 1)), ints(1 << 20, 4, 2, 64)),
    "attention.ATTEND": (*HEADS, ints(127, 40, 64), exponents(40)),
}


def program():
    """The program of the top bench, as its oracle takes it."""
    config, fmt = top.CONFIGS["small"]
    words = [insn.encode() for insn in top.program(config, fmt)]
    return config, top.image(config, fmt), words, (top.CACHE, top.UNITS), [top.TOKEN], top.POSITION


def inputs_of(name):
    return program() if name == "program.RUN" else INPUTS[name]


# What both implementations might have misread: changes to the inputs that both would make.
MISREAD = {
    "fp.ADD": ("subtract", lambda a, b: (a, -b)),
    "fp.MULTIPLY": ("a last place lost", lambda a, b: (cut(a, 1), b)),
    "fp.FROM_INT": ("cut to 24 bits", lambda i, exponent: (i & ~0xFFFF, exponent)),
    "fp.LOAD": ("a last place lost", lambda words: (cut(words, 1),)),
    "linear.WEIGHTS": ("centres shifted by one less", lambda *x: (*x[:-1], x[-1] - 1)),
    "linear.PRODUCTS": ("no lowest bit", lambda weight, acts: (weight, acts & ~1)),
    "linear.GROUP_SUMS": ("no centres", lambda s, t, scale, c, n: (s, t, scale, 0 * c, n)),
    "linear.EXACT_SUMS": ("groups in another order", lambda w, q, e: (w, np.roll(q, 32, 1), e)),
    "linear.ROW_SCALE": ("sums cut to 24 bits", lambda s, r, t: (s & ~0xFFFF, r, t)),
    "linear.LINEAR": ("another row's scale", lambda w, r, x: (w, np.roll(r, 1), x)),
    "linear.EMBEDDING": ("the row before", lambda w, r, row: (w, r, row - 1)),
    "linear.BEST_LOGITS": ("one missed", lambda x: (np.delete(x, x.argmax()),)),
    "vector.ELEMENTWISE": ("half of the digits", lambda f, a, b, c: (f, cut(a, 12), b, c)),
    "vector.DOT": ("one missed", lambda a, b: (a[:, 1:], b[:, 1:])),
    "vector.QUANTIZE": ("rounded down", lambda x, *how: (x - np.float32(2.0**-7), *how)),
    "vector.RECIPROCALS": ("one step too few", lambda d: (d * np.float32(1 + 2.0**-20),)),
    "vector.RMS_NORM": ("no epsilon", lambda x, gain, eps: (x, gain, 0.0)),
    "vector.SILU": ("up is not scaled", lambda g, up, s: (g, up / s, s)),
    "vector.ROTARY": ("turned back", lambda low, high, cos, sin: (low, high, cos, -sin)),
    "attention.SCORES": ("half an exponent", lambda q, e, k, f: (q, e, k, f + 1)),
    "attention.CAPPED": ("another cap", lambda score, cap: (score, cap + 1)),
    "attention.WEIGHTS": ("no fraction", lambda score, e: (score & ~1023, e)),
    "attention.ACCUMULATE": ("a shift too far", lambda shifts, sums: (shifts + 1, sums)),
    "attention.ATTEND": (
        "one key's values at the next",
        lambda q, a, k, b, v, c: (q, a, k, b, np.roll(v, 1, 0), c),
    ),
}


def cut(x, bits):
    """float32 without so many of its last places."""
    return (x.view(np.int32) & -1 << bits).view(np.float32)
