"""The gate of a feed-forward network: SiLU of one half, times the other (arXiv:2002.05202)."""

import numpy as np

from .functions import gate_function
from .sigmoid import sigmoid
from .trace import sequence


__all__ = ["silu", "silu_gate"]


@gate_function
def silu(x):
    """x / (1 + exp(-x))."""
    with np.errstate(over="ignore"):  # 1 / inf is the 0 that is meant
        return x / (1 + np.exp(-x))


@sequence
def silu_gate(w):
    """g = g * sigmoid(g) * up, after both have been multiplied by s."""
    w.g = w.g * w.s
    w.up = w.up * w.s
    w.add(sigmoid(), x="g")
    w.r = w.r * w.g
    w.g = w.r * w.up
