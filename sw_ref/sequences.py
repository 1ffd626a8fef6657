"""exp, reciprocal, reciprocal square root and sigmoid as sequences of vector operations.

Each sequence is data: steps (function, result, a, b, c) over named values; numbers are constants.
The mapper turns a step into one Vector instruction, :func:`evaluate` into one numpy call: both
machines do the same because both read the same list.
"""

import numpy as np

from rtl.spec.isa import Func

from . import numerics
from .numerics import MAGIC


__all__ = ["FUNCTIONS", "RECIPROCAL", "RSQRT", "SILU_GATE", "norm_scale", "evaluate"]


# What each elementwise function of the vector unit does to its operands a, b, c.
FUNCTIONS = {
    Func.MADD: numerics.madd,
    Func.NMADD: numerics.nmadd,
    Func.CLAMP: lambda a, b, c: numerics.clamp(a, b),
    Func.SCALE: lambda a, b, c: numerics.scale(a, c),
    Func.NSCALE: lambda a, b, c: numerics.scale(a, c, -1),
    Func.RECIP: lambda a, b, c: numerics.recip_seed(a),
    Func.RSQRT: lambda a, b, c: numerics.rsqrt_seed(a),
}

M, N = Func.MADD, Func.NMADD

# 1 / d for positive normal d, within 1 ulp or so: three Newton steps square the error of 5.1 %. Of d
# above 2**100 a step's correction may be flushed: then the result is off by up to 2**-126.
RECIPROCAL = [(Func.RECIP, "r", "d", None, None)] + 3 * [
    (N, "u", "d", "r", 1.0),
    (M, "r", "u", "r", "r"),
]

# 1 / sqrt(v) for positive normal v; h = v / 2.
RSQRT = [(M, "h", "v", 0.5, 0.0), (Func.RSQRT, "r", "v", None, None)] + 3 * [
    (M, "u", "r", "r", 0.0),
    (N, "u", "h", "u", 1.5),
    (M, "r", "r", "u", 0.0),
]

# 2**f for |f| <= 1/2, degree 5, fitted at Chebyshev nodes with 2**0 exact: relative error 1.5e-7.
EXP2_POLY = (1.33979e-3, 9.67069e-3, 5.550336e-2, 2.402226e-1, 6.931472e-1, 1.0)

LOG2E = 1.4426950408889634

# g = g * sigmoid(g) * up, after both have been multiplied by s. exp(-x) = 2**-n * 2**f, with
# n = round(x log2 e) and f = n - x log2 e. Beyond +-80 the sigmoid is 0 or 1 in fp32, and 2**n stays
# finite.
SILU_GATE = [
    (M, "g", "g", "s", 0.0),
    (M, "up", "up", "s", 0.0),
    (Func.CLAMP, "r", "g", 80.0, None),
    (M, "t", "r", LOG2E, MAGIC),
    (M, "u", "t", 1.0, -MAGIC),
    (N, "r", "r", LOG2E, "u"),
    (M, "u", "r", EXP2_POLY[0], EXP2_POLY[1]),
    *[(M, "u", "u", "r", c) for c in EXP2_POLY[2:]],
    (Func.NSCALE, "u", "u", None, "t"),
    (M, "t", "u", 1.0, 1.0),
    *[(f, *(("t" if n == "d" else n) for n in names)) for f, *names in RECIPROCAL],
    (M, "r", "r", "g", 0.0),
    (M, "g", "r", "up", 0.0),
]


def norm_scale(hidden, eps):
    """r = 1 / sqrt(s / hidden + eps), s the sum of squares of `hidden` values."""
    return [(M, "v", "s", 1.0 / hidden, float(eps)), *RSQRT]


def evaluate(steps, **values):
    """Run `steps` on numpy arrays; returns all named values."""
    values = {name: np.asarray(value, np.float32) for name, value in values.items()}
    for func, result, *operands in steps:
        values[result] = FUNCTIONS[func](*(values[o] if isinstance(o, str) else
                                           None if o is None else np.array([o], np.float32)
                                           for o in operands))
    return values
