"""The factor of an RMS norm: 1 / rms. :mod:`mapper.lowering.norms` has all of its instructions."""

from .rsqrt import rsqrt
from .trace import sequence


__all__ = ["norm_scale"]


@sequence
def norm_scale(w, hidden, eps):
    """r = 1 / sqrt(s / hidden + eps), s the sum of squares of `hidden` values."""
    w.v = w.s * (1.0 / hidden) + float(eps)
    w.add(rsqrt())
