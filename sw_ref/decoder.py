"""A decoder layer in float32 and numpy, for what needs no more than a run has: evaluation and
pruning.

:class:`sw_ref.pytorch.interpreter.Float32` is the same in PyTorch.
"""

import numpy as np


__all__ = ["Decoder"]


f32 = np.float32


class Decoder:
    """Layers of a :class:`~mapper.model.Model` in float32.

    Parameters
    ----------
    model : :class:`~mapper.model.Model`
        Its shape, RoPE base and epsilon are used.
    positions : :class:`int`
        Length of the longest sequence.
    """

    def __init__(self, model, positions):
        self.model = model
        exponent = np.arange(0, model.head_dim, 2, dtype=f32) / f32(model.head_dim)
        frequency = (1 / np.float64(model.rope_theta) ** exponent).astype(f32)
        angles = (np.arange(positions, dtype=f32)[:, None] * frequency).astype(np.float64)
        self.cos, self.sin = (
            np.cos(angles).astype(f32)[:, None],
            np.sin(angles).astype(f32)[:, None],
        )

    def norm(self, x, gain):
        """RMS norm of (positions, hidden)."""
        return x / np.sqrt((x * x).mean(-1, keepdims=True) + f32(self.model.rms_eps)) * gain

    def rotate(self, x):
        """Rotary embedding of (positions, heads, head_dim), half-split."""
        low, high = np.split(x, 2, -1)
        c, s = self.cos[: len(x)], self.sin[: len(x)]
        return np.concatenate([low * c - high * s, high * c + low * s], -1)

    def attention(self, q, k, v):
        """Causal attention of (positions, heads, head_dim) to (positions, kv_heads, head_dim)."""
        model = self.model
        shared = model.heads // model.kv_heads
        q, k, v = (
            x.transpose(1, 0, 2)
            for x in (self.rotate(q), np.repeat(self.rotate(k), shared, 1), np.repeat(v, shared, 1))
        )
        scores = q @ k.transpose(0, 2, 1) / f32(np.sqrt(model.head_dim))
        scores += np.triu(np.full(scores.shape[1:], -np.inf, f32), 1)
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        weights /= weights.sum(-1, keepdims=True)
        return (weights @ v).transpose(1, 0, 2).reshape(q.shape[1], -1)

    def layer(self, x, layer, product):
        """One layer: (positions, hidden) to the same. `product(names, h)` gives the products of h
        with the matrices of these names, a list."""
        h = self.norm(x, layer.gains["attn_norm"])
        q, k, v = (y.reshape(len(x), -1, self.model.head_dim) for y in product("qkv", h))
        (o,) = product(("o",), self.attention(q, k, v))
        x = x + o
        gate, up = product(("gate", "up"), self.norm(x, layer.gains["ffn_norm"]))
        with np.errstate(over="ignore"):  # 1 / inf is the 0 that is meant
            gate /= 1 + np.exp(-gate)
        (down,) = product(("down",), gate * up)
        return x + down
