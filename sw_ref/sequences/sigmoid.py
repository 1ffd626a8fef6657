"""The logistic function, 1 / (1 + exp(-x))."""

from .exp2_parts import exp2_parts
from .reciprocal import reciprocal
from .trace import clamp, one_and_scaled_down, sequence


__all__ = ["LOG2E", "sigmoid"]


LOG2E = 1.4426950408889634


@sequence
def sigmoid(w):
    """r = 1 / (1 + exp(-x)).

    Beyond +-80 it stays as it is there, 0 or 1 in fp32, so that 2**n of exp(-x) stays finite. x may
    lie in r.
    """
    w.r = clamp(w.x, 80.0)
    w.add(exp2_parts(LOG2E))
    w.t = one_and_scaled_down(w.u, w.t)  # 1 + exp(-x)
    w.add(reciprocal(), d="t")
