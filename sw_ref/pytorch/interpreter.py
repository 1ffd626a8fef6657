"""A model's graph, interpreted in PyTorch: in float32, and with the machine's arithmetic.

:class:`Float32` is what the model is; :class:`MachineArithmetic` is what the accelerator makes of
it, node by node and independent of any program, to the bit. Both interpret the graph as the family
states it (:mod:`sw_ref.graph`), before the mapper rewrites anything.
"""

from typing import NamedTuple

import torch

from ..float32 import angles
from ..interpreter import TOKENS, Interpreter
from . import gates, ops
from .attention import attend
from .linear import linear as machine_linear


__all__ = ["Float32", "MachineArithmetic"]


class Float32(Interpreter):
    """Everything in float32, as Hugging Face's implementation does it.

    What methods look tensors up in is a function of a name that returns a tensor and what it is
    called: ``3.gate`` of layer 3.
    """

    @torch.no_grad()
    def __call__(self, ids, trace=None):
        """Logits of every position, float32 (positions, vocab).

        `trace` is that of :meth:`~sw_ref.interpreter.Interpreter.run`.
        """
        (logits,) = self.run(self.model.graph.nodes, [{TOKENS: ids}], self.tensors(None), trace)
        return logits

    def tensors(self, layer):
        find = super().tensors(layer)
        return lambda name: (name if layer is None else f"{layer}.{name}", find(name))

    def embedding(self, node, tensor, ids):
        _, embedding = tensor(node.weight)
        return torch.tensor(embedding.float32())[torch.tensor(ids)]

    def angles(self, node, tensor, ids):
        return torch.tensor(angles(node, len(ids)))

    def positionrow(self, node, tensor, ids):
        return torch.tensor(tensor(node.weight)[1])[: len(ids)]

    def norm(self, node, tensor, x):
        x = x.unflatten(-1, (node.heads, -1))
        variance = x.pow(2).mean(-1, keepdim=True)
        x = x * torch.rsqrt(variance + node.eps) * torch.tensor(tensor(node.gain)[1])
        return x.flatten(1)

    def layernorm(self, node, tensor, x):
        gain, bias = (torch.tensor(tensor(name)[1]) for name in (node.gain, node.bias))
        return torch.nn.functional.layer_norm(x, x.shape[-1:], gain, bias, node.eps)

    def linear(self, node, tensor, x):
        y = x @ torch.tensor(tensor(node.weight)[1].float32()).T
        return y if node.bias is None else y + torch.tensor(tensor(node.bias)[1])

    def head(self, node, tensor, x):
        return capped(x @ torch.tensor(tensor(node.weight)[1].float32()).T, node.cap)

    def rope(self, node, tensor, x, angles):
        cos, sin = angles[:, None].chunk(2, -1)
        low, high = x.unflatten(-1, (-1, node.head_dim)).chunk(2, -1)
        return torch.cat([low * cos - high * sin, high * cos + low * sin], -1).flatten(1)

    def attend(self, node, tensor, q, k, v):
        shared = node.heads // node.kv_heads
        q, k, v = (x.unflatten(-1, (-1, node.head_dim)) for x in (q, k, v))
        q, k, v = (
            x.transpose(0, 1)
            for x in (q, k.repeat_interleave(shared, 1), v.repeat_interleave(shared, 1))
        )
        scores = capped(q @ k.transpose(1, 2) * node.scale, node.cap)
        positions = torch.arange(scores.shape[-1])
        back = positions[:, None] - positions
        seen = (back >= 0) & (back < (node.window or len(positions)))
        weights = scores.masked_fill(~seen, -torch.inf).softmax(-1)
        return (weights @ v).transpose(0, 1).flatten(1)

    def gate(self, node, tensor, gate, up=None):
        up = torch.ones(()) if up is None else up
        return gates.of(node.function).float32(gate, up)

    def add(self, node, tensor, x, y):
        return x + node.factor * y

    def scale(self, node, tensor, x):
        return x * node.factor


def capped(x, cap):
    """cap * tanh(x / cap); x where there is no cap."""
    return cap * torch.tanh(x / cap) if cap else x


class Late(NamedTuple):
    """A value that lacks a factor for each position, 1 / rms(x) of a norm: it comes after
    products."""

    values: torch.Tensor
    factor: torch.Tensor


def settled(x):
    """A value with the factor that it lacked."""
    return ops.madd(x.values, x.factor, 0.0) if isinstance(x, Late) else x


class MachineArithmetic(Float32):
    """The same, with every operation as the accelerator computes it.

    A norm's result lacks 1 / rms(x), which is one number, and products are linear: the first
    operation behind the products multiplies it in.

    Parameters
    ----------
    model : :class:`~mapper.model.Model`
    integers : function of (name, linear) -> (integer weights (rows, K), row scales (rows,))
        What the mapper makes of a matrix; names are ``3.gate`` for layer 3, and ``head``,
        ``embedding``.
    """

    def __init__(self, model, integers):
        super().__init__(model)
        self.integers = integers
        self.factors = model.graph.softmax_factors

    def scaled(self, name, values):
        """A gain, or row scales, times the softmax' factor where the tensor has it."""
        factor = torch.tensor(self.factors.get(name, 1.0), dtype=torch.float32)
        return torch.tensor(values) * factor

    def product(self, node, tensor, x):
        weight, row_scale = self.integers(*tensor(node.weight))
        return machine_linear(torch.tensor(weight), self.scaled(node.weight, row_scale), x)

    def gain(self, node, tensor):
        return self.scaled(node.gain, tensor(node.gain)[1])

    def embedding(self, node, tensor, ids):
        weight, row_scale = self.integers(*tensor(node.weight))
        rows = torch.tensor(ids)
        return ops.multiply(
            torch.tensor(weight)[rows].float(), torch.tensor(row_scale)[rows][:, None]
        )

    def norm(self, node, tensor, x):
        x = settled(x)
        if node.heads > 1:
            x = x.unflatten(-1, (node.heads, -1))
            weighted = ops.madd(x, self.gain(node, tensor), 0.0)
            factor = ops.rms_reciprocal(x.flatten(0, 1), node.eps).unflatten(0, (-1, node.heads))
            return ops.madd(weighted, factor[..., None], 0.0).flatten(1)
        return Late(
            ops.madd(x, self.gain(node, tensor), 0.0),
            ops.rms_reciprocal(x, node.eps)[:, None],
        )

    def layernorm(self, node, tensor, x):
        x = ops.centred(settled(x))
        factor = ops.rms_reciprocal(x, node.eps)[:, None]
        weighted = ops.madd(x, self.gain(node, tensor), 0.0)
        return ops.madd(weighted, factor, self.scaled(node.bias, tensor(node.bias)[1]))

    def linear(self, node, tensor, x):
        values, factor = x if isinstance(x, Late) else (x, None)
        y = self.product(node, tensor, values)
        if node.bias is not None:
            bias = self.scaled(node.bias, tensor(node.bias)[1])
            return ops.madd(y, 1.0 if factor is None else factor, bias)
        return y if factor is None else Late(y, factor)

    def head(self, node, tensor, x):
        return self.product(node, tensor, settled(x))  # logits leave the machine

    def rope(self, node, tensor, x, angles):
        if isinstance(x, Late):
            x, angles = x.values, ops.madd(angles, x.factor, 0.0)
        cos, sin = angles[:, None].chunk(2, -1)
        low, high = x.unflatten(-1, (-1, node.head_dim)).chunk(2, -1)
        return torch.cat(ops.rotate(low, high, cos, sin), -1).flatten(1)

    def attend(self, node, tensor, q, k, v):
        shared = node.heads // node.kv_heads
        q, k, v = (settled(x).unflatten(-1, (-1, node.head_dim)) for x in (q, k, v))
        out = torch.empty_like(q)
        for t in range(len(q)):
            for head in range(node.kv_heads):
                group = slice(head * shared, (head + 1) * shared)
                start = max(0, t + 1 - node.window) if node.window else 0
                numerators, denominators = attend(
                    q[t, group], k[start : t + 1, head], v[start : t + 1, head], start, node.cap
                )
                out[t, group] = ops.madd(numerators, ops.reciprocal(denominators)[:, None], 0.0)
        return out.flatten(1)

    def gate(self, node, tensor, gate, up=None):
        up = torch.ones(()) if up is None else settled(up)
        return gates.of(node.function).machine(settled(gate), up)

    def add(self, node, tensor, x, y):
        return ops.madd(settled(y), node.factor, settled(x))

    def scale(self, node, tensor, x):
        return ops.madd(settled(x), node.factor, 0.0)
