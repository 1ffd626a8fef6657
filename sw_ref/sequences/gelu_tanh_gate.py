"""GELU by a tanh, times the other half: `gelu_pytorch_tanh`, `gelu_new`, `gelu_fast`
(arXiv:1606.08415)."""

import numpy as np

from .functions import gate_function
from .sigmoid import sigmoid
from .trace import sequence


__all__ = ["CUBIC", "LINEAR", "gelu_tanh", "gelu_tanh_gate"]


LINEAR = 1.5957691216057308  # 2 sqrt(2 / pi)
CUBIC = 0.044715 * LINEAR


@gate_function
def gelu_tanh(x):
    """x / 2 * (1 + tanh(sqrt(2 / pi) (x + 0.044715 x**3)))."""
    x, limited = np.asarray(x), np.clip(x, -100, 100)  # the tanh is 1 or -1 long before
    with np.errstate(over="ignore"):  # 1 / inf is the 0 that is meant
        return x / (1 + np.exp(-limited * (x.dtype.type(LINEAR) + limited**2 * CUBIC)))


@sequence
def gelu_tanh_gate(w):
    """g = g * sigmoid(2 sqrt(2 / pi) (g + 0.044715 g**3)) * up, after both have been multiplied by
    s.

    1 + tanh(z) is 2 sigmoid(2 z). The cube of a large g saturates, beyond the sigmoid's limits.
    """
    w.g = w.g * w.s
    w.up = w.up * w.s
    w.u = w.g * w.g
    w.u = w.u * CUBIC + LINEAR
    w.r = w.u * w.g
    w.add(sigmoid(), x="r")
    w.r = w.r * w.g
    w.g = w.r * w.up
