"""The magnitude of x, up to a limit."""

from .trace import clamp, sequence


__all__ = ["magnitude"]


@sequence
def magnitude(w, limit):
    """r = min(|x|, limit), for a positive limit.

    CLAMP gives the smaller magnitude the sign of its first operand, which is made positive.
    """
    w.r = w.x * 0.0 + limit
    w.r = clamp(w.r, w.x)
