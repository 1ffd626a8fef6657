"""Gates of feed-forward networks in PyTorch, by the name of their function."""

from collections.abc import Callable
from typing import NamedTuple

import torch

from . import ops


__all__ = ["GATES", "PyTorchGate", "of"]


class PyTorchGate(NamedTuple):
    """function(gate) * up, of two tensors: as PyTorch computes it, and as the machine does.

    `machine` is written from the formula and not from the sequence (:mod:`sw_ref.sequences`).
    """

    float32: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
    machine: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


GATES = {
    "silu": PyTorchGate(lambda gate, up: torch.nn.functional.silu(gate) * up, ops.silu_gate),
}


def of(function):
    """The :class:`PyTorchGate` of a function's name. Raises :exc:`ValueError` for one unknown."""
    try:
        return GATES[function]
    except KeyError:
        raise ValueError(
            f"Gate must be one of {', '.join(sorted(GATES))}, not {function!r}"
        ) from None
