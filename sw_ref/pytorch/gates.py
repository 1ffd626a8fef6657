"""Gates of feed-forward networks in PyTorch, by the name of their function."""

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch.nn import functional

from . import ops


__all__ = ["GATES", "PyTorchGate", "of"]


class PyTorchGate(NamedTuple):
    """function(gate) * up, of two tensors: as PyTorch computes it, and as the machine does.

    `machine` is written from the formula and not from the sequence (:mod:`sw_ref.sequences`).
    """

    float32: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
    machine: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def relu(x):
    """max(x, 0), as half of the sum of x and its magnitude."""
    return ops.madd(ops.clamp(torch.full_like(x, ops.MAX), x), 0.5, ops.madd(x, 0.5, 0.0))


def gelu(x):
    """max(x, 0) - |x| * tail(|x|), the tail by its logarithm's polynomial, up to 7.5."""
    size = ops.clamp(torch.full_like(x, 7.5), x)
    p = torch.full_like(x, 1.4708873e-8)
    for c in (-4.815278e-7, 6.72854e-6, -5.041307e-5, 1.8432659e-4, 2.1249597e-4):
        p = ops.madd(p, size, c)
    for c in (-7.230036e-3, 5.2653905e-2, 4.5914119e-1, 1.1511155, 1.0):
        p = ops.madd(p, size, c)
    return ops.nmadd(size, ops.exp2_negative(p, 1.0), relu(x))


def gelu_tanh(x):
    """x * sigmoid(2 sqrt(2 / pi) (x + 0.044715 x**3))."""
    linear = 2 * math.sqrt(2 / math.pi)
    z = ops.madd(ops.madd(ops.madd(x, x, 0.0), 0.044715 * linear, linear), x, 0.0)
    return ops.madd(ops.sigmoid(z), x, 0.0)


GATES = {
    "silu": PyTorchGate(lambda gate, up: functional.silu(gate) * up, ops.silu_gate),
    "gelu": PyTorchGate(
        lambda gate, up: functional.gelu(gate) * up,
        lambda gate, up: ops.madd(gelu(gate), up, 0.0),
    ),
    "gelu_tanh": PyTorchGate(
        lambda gate, up: functional.gelu(gate, approximate="tanh") * up,
        lambda gate, up: ops.madd(gelu_tanh(gate), up, 0.0),
    ),
    "relu": PyTorchGate(
        lambda gate, up: functional.relu(gate) * up,
        lambda gate, up: ops.madd(relu(gate), up, 0.0),
    ),
    "relu2": PyTorchGate(
        lambda gate, up: functional.relu(gate).square() * up,
        lambda gate, up: ops.madd(ops.madd(relu(gate), relu(gate), 0.0), up, 0.0),
    ),
}


def of(function):
    """The :class:`PyTorchGate` of a function's name. Raises :exc:`ValueError` for one unknown."""
    try:
        return GATES[function]
    except KeyError:
        raise ValueError(
            f"Gate must be one of {', '.join(sorted(GATES))}, not {function!r}"
        ) from None
