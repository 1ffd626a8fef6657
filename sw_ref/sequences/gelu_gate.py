"""GELU, by the normal distribution itself, times the other half (arXiv:1606.08415)."""

from math import erfc, sqrt

import numpy as np

from .exp2_negative import exp2_negative
from .functions import gate_function
from .magnitude import magnitude
from .positive_part import positive_part
from .trace import sequence


__all__ = ["TAIL_LIMIT", "TAIL_POLY", "gelu", "gelu_gate"]


# -log2 of the normal distribution's tail beyond a, for a from 0 to TAIL_LIMIT, degree 10 with
# -log2(1 / 2) exact: a minimax fit of a * tail(a), off by 1.8e-7 relatively where that is above
# 1e-6, and by 1e-12 absolutely below.
TAIL_LIMIT = 7.5  # a * tail(a) is 2.4e-13
TAIL_POLY = (
    1.4708873e-8,
    -4.815278e-7,
    6.72854e-6,
    -5.041307e-5,
    1.8432659e-4,
    2.1249597e-4,
    -7.230036e-3,
    5.2653905e-2,
    4.5914119e-1,
    1.1511155,
    1.0,
)

_tail = np.vectorize(lambda x: erfc(x / sqrt(2)) / 2, otypes=[np.float64])


@gate_function
def gelu(x):
    """x times the normal distribution function of x."""
    x = np.asarray(x)
    return (x * _tail(-x)).astype(x.dtype)


@sequence
def gelu_gate(w):
    """g = (max(g, 0) - |g| * tail(|g|)) * up, after both have been multiplied by s.

    tail(a) is what lies beyond a of the normal distribution, 2**-p(a): relatively exact for
    negative g, where the distribution function is small. Where |g| is beyond `TAIL_LIMIT` the
    product stays as it is there.
    """
    w.g = w.g * w.s
    w.up = w.up * w.s
    w.add(magnitude(TAIL_LIMIT), x="g", r="a")
    w.r = w.a * TAIL_POLY[0] + TAIL_POLY[1]
    for coefficient in TAIL_POLY[2:]:
        w.r = w.r * w.a + coefficient
    w.add(exp2_negative(1.0))
    w.add(positive_part(), x="g")
    w.r = w.r - w.a * w.u
    w.g = w.r * w.up
