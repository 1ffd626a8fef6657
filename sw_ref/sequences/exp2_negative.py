"""2 to the power of minus a multiple of x."""

from .exp2_parts import exp2_parts
from .trace import scaled_down, sequence


__all__ = ["exp2_negative"]


@sequence
def exp2_negative(w, factor):
    """u = 2**-(r * factor), for products below 500 in magnitude; r is used up."""
    w.add(exp2_parts(factor))
    w.u = scaled_down(w.u, w.t)
