"""The larger of x and 0."""

from ..numerics import MAX
from .magnitude import magnitude
from .trace import sequence


__all__ = ["positive_part"]


@sequence
def positive_part(w):
    """r = max(x, 0) = x / 2 + |x| / 2.

    It is exact, and never overflows; below 2**-125 the halves are flushed.
    """
    w.add(magnitude(float(MAX)), r="t")
    w.r = w.x * 0.5
    w.r = w.t * 0.5 + w.r
