"""1 / sqrt(v) by Newton's method."""

from .trace import rsqrt_seed, sequence


__all__ = ["rsqrt"]


@sequence
def rsqrt(w):
    """r = 1 / sqrt(v) for positive normal v."""
    w.h = w.v * 0.5
    w.r = rsqrt_seed(w.v)
    for _ in range(3):
        w.u = w.r * w.r
        w.u = 1.5 - w.h * w.u
        w.r = w.r * w.u
