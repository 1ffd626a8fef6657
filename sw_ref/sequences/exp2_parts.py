"""2 to the power of minus a multiple of x, in two parts: by a polynomial, and an exponent."""

from ..numerics import MAGIC
from .trace import integer, sequence


__all__ = ["EXP2_POLY", "exp2_parts"]


# 2**f for |f| <= 1/2, degree 5, fitted at Chebyshev nodes with 2**0 exact: relative error 1.5e-7.
EXP2_POLY = (1.33979e-3, 9.67069e-3, 5.550336e-2, 2.402226e-1, 6.931472e-1, 1.0)


@sequence
def exp2_parts(w, factor):
    """u = 2**f, and n in the low bits of t: 2**-(r * factor) = 2**-n * 2**f, with n = round(r *
    factor) and f = n - r * factor, for products below 500 in magnitude; r is used up.
    """
    w.t = w.r * factor + MAGIC
    w.r = integer(w.t) - w.r * factor
    w.u = w.r * EXP2_POLY[0] + EXP2_POLY[1]
    for coefficient in EXP2_POLY[2:]:
        w.u = w.u * w.r + coefficient
