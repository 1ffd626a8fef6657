"""The Llama architecture in PyTorch: in float32, and with the machine's arithmetic.

:class:`Float32` is what the model is; :class:`MachineArithmetic` is what the accelerator makes of it, layer by
layer and independent of any program, to the bit. Models are :class:`mapper.model.Model` or alike.
"""

import torch

from . import ops
from .attention import attend
from .linear import linear as machine_linear


__all__ = ["Float32", "MachineArithmetic"]


def rope_tables(model, positions):
    """Cosines and sines, float32 (positions, head_dim / 2)."""
    exponent = torch.arange(0, model.head_dim, 2, dtype=torch.float32) / model.head_dim
    frequency = (1 / torch.tensor(model.rope_theta, dtype=torch.float64) ** exponent.double()).float()
    angles = (torch.arange(positions, dtype=torch.float32)[:, None] * frequency).double()
    return angles.cos().float(), angles.sin().float()


class Float32:
    """Everything in float32, as Hugging Face's implementation does it."""
    def __init__(self, model):
        self.model = model

    def embed(self, ids):
        return torch.tensor(self.model.embedding.float32())[torch.tensor(ids)]

    def linear(self, x, name, linear):
        return x @ torch.tensor(linear.float32()).T

    def norm(self, x, gain):
        """Normed values, and what is left to multiply their products with."""
        variance = x.pow(2).mean(-1, keepdim=True)
        return x * torch.rsqrt(variance + self.model.rms_eps) * torch.tensor(gain), torch.ones(len(x), 1)

    def multiply(self, x, factor):
        return x * factor

    def rotate(self, x, cos, sin):
        low, high = x.chunk(2, -1)
        return torch.cat([low * cos - high * sin, high * cos + low * sin], -1)

    def attention(self, q, k, v):
        """q (positions, heads, head_dim), k and v (positions, kv_heads, head_dim)."""
        shared = self.model.heads // self.model.kv_heads
        q, k, v = (x.transpose(0, 1) for x in (q, k.repeat_interleave(shared, 1),
                                                v.repeat_interleave(shared, 1)))
        result = torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        return result.transpose(0, 1).flatten(1)

    def gate(self, gate, up):
        return torch.nn.functional.silu(gate) * up

    def add(self, x, y):
        return x + y

    @torch.no_grad()
    def __call__(self, ids, trace=None):
        """Logits of every position, float32 (positions, vocab). `trace(name, values)` sees each layer."""
        model = self.model
        x = self.embed(ids)
        cos, sin = (t[:, None] for t in rope_tables(model, len(ids)))
        for n, layer in enumerate(model.layers):
            def apply(name, values):
                return self.linear(values, f"{n}.{name}", layer.linears[name])

            h, late = self.norm(x, layer.attn_norm)
            q, k, v = (apply(name, h).unflatten(-1, (-1, model.head_dim)) for name in "qkv")
            late = late[:, None]
            turn = self.multiply(cos, late), self.multiply(sin, late)
            h = self.attention(self.rotate(q, *turn), self.rotate(k, *turn), self.multiply(v, late))
            x = self.add(x, apply("o", h))
            h, late = self.norm(x, layer.ffn_norm)
            gate, up = (self.multiply(apply(name, h), late) for name in ("gate", "up"))
            x = self.add(x, apply("down", self.gate(gate, up)))
            if trace:
                trace(f"layer {n}", x)
        return self.linear(self.multiply(*self.norm(x, model.norm)), "head", model.head)


class MachineArithmetic(Float32):
    """The same, with every operation as the accelerator computes it.

    Parameters
    ----------
    model : :class:`~mapper.model.Model`
    integers : function of (name, linear) -> (integer weights (rows, K), row scales (rows,))
        What the mapper makes of a matrix; names are ``3.gate`` for layer 3, and ``head``, ``embedding``.
    """
    def __init__(self, model, integers):
        super().__init__(model)
        self.integers = integers

    def embed(self, ids):
        weight, row_scale = self.integers("embedding", self.model.embedding)
        rows = torch.tensor(ids)
        return ops.multiply(torch.tensor(weight)[rows].float(), torch.tensor(row_scale)[rows][:, None])

    def linear(self, x, name, linear):
        weight, row_scale = self.integers(name, linear)
        return machine_linear(torch.tensor(weight), torch.tensor(row_scale), x)

    def norm(self, x, gain):
        # The reciprocal of the root comes after the product: the core need not wait for it.
        return ops.madd(x, torch.tensor(gain), 0.0), ops.rms_reciprocal(x, self.model.rms_eps)[:, None]

    def multiply(self, x, factor):
        return ops.madd(x, factor, 0.0)

    def rotate(self, x, cos, sin):
        low, high = x.chunk(2, -1)
        return torch.cat(ops.rotate(low, high, cos, sin), -1)

    def attention(self, q, k, v):
        shared = self.model.heads // self.model.kv_heads
        out = torch.empty_like(q)
        for t in range(len(q)):
            for head in range(k.shape[1]):
                group = slice(head * shared, (head + 1) * shared)
                numerators, denominators = attend(q[t, group], k[:t + 1, head], v[:t + 1, head])
                out[t, group] = ops.madd(numerators, ops.reciprocal(denominators)[:, None], 0.0)
        return out.flatten(1)

    def gate(self, gate, up):
        return ops.silu_gate(gate, up)

    def add(self, x, y):
        return ops.madd(y, 1.0, x)
