"""ReLU of one half, times the other; alone, as OPT has it (arXiv:2205.01068)."""

import numpy as np

from .functions import gate_function
from .positive_part import positive_part
from .trace import sequence


__all__ = ["relu", "relu_gate"]


@gate_function
def relu(x):
    """max(x, 0)."""
    return np.maximum(x, 0)


@sequence
def relu_gate(w):
    """g = max(g, 0) * up, after both have been multiplied by s."""
    w.g = w.g * w.s
    w.up = w.up * w.s
    w.add(positive_part(), x="g")
    w.g = w.r * w.up
