"""The square of ReLU of one half, times the other, as BitNet b1.58-2B-4T has it
(arXiv:2109.08668)."""

import numpy as np

from .functions import gate_function
from .positive_part import positive_part
from .trace import sequence


__all__ = ["relu2", "relu2_gate"]


@gate_function
def relu2(x):
    """max(x, 0) ** 2."""
    return np.maximum(x, 0) ** 2


@sequence
def relu2_gate(w):
    """g = max(g, 0)**2 * up, after both have been multiplied by s."""
    w.g = w.g * w.s
    w.up = w.up * w.s
    w.add(positive_part(), x="g")
    w.r = w.r * w.r
    w.g = w.r * w.up
