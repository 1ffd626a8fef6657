"""2 to the power of minus a multiple of x, by a polynomial."""

from ..numerics import MAGIC
from .trace import scaled_down, sequence


__all__ = ["EXP2_POLY", "exp2_negative"]


# 2**f for |f| <= 1/2, degree 5, fitted at Chebyshev nodes with 2**0 exact: relative error 1.5e-7.
EXP2_POLY = (1.33979e-3, 9.67069e-3, 5.550336e-2, 2.402226e-1, 6.931472e-1, 1.0)


@sequence
def exp2_negative(w, factor):
    """u = 2**-(r * factor), for products below 500 in magnitude; r is used up.

    It is 2**-n * 2**f, with n = round(r * factor) and f = n - r * factor.
    """
    w.t = w.r * factor + MAGIC  # n, as an integer in the low bits
    w.u = w.t - MAGIC  # n
    w.r = w.u - w.r * factor  # f
    w.u = w.r * EXP2_POLY[0] + EXP2_POLY[1]
    for coefficient in EXP2_POLY[2:]:
        w.u = w.u * w.r + coefficient  # 2**f
    w.u = scaled_down(w.u, w.t)
