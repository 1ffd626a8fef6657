"""A small Llama to train: the architecture of :mod:`mapper.model`, in PyTorch."""

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from . import rounding


__all__ = ["SHAPES", "Linear", "Llama", "Shape"]


@dataclass(frozen=True, kw_only=True)
class Shape:
    """Sizes of a model. `hidden` and `ffn` are multiples of 64, and a head is 64 wide."""

    vocab: int = 1024
    hidden: int = 320
    heads: int = 5
    kv_heads: int = 1
    layers: int = 3
    ffn: int = 640
    context: int = 512
    rope_theta: float = 10000.0
    rms_eps: float = 1e-5

    head_dim = 64

    def __post_init__(self):
        for name in ("hidden", "ffn"):
            if getattr(self, name) % 64:
                raise ValueError(f"{name} must be a multiple of 64, not {getattr(self, name)!r}")
        if self.heads % self.kv_heads:
            raise ValueError(
                f"heads must be a multiple of the {self.kv_heads} KV heads, not {self.heads!r}"
            )

    asdict = asdict


# By what the rows of matrices fill: five trits from five groups of 32 a byte; GGUF's blocks of 256.
SHAPES = {"trits": Shape(), "blocks": Shape(hidden=256, heads=4, ffn=768)}


class Linear(nn.Linear):
    """A matrix without bias, pruned by `mask` and rounded to `form`; None leaves the weights as
    they are.
    """

    def __init__(self, depth, rows):
        super().__init__(depth, rows, bias=False)
        self.form = None
        self.mask: torch.Tensor | None
        self.register_buffer("mask", None)

    def effective(self):
        """The weights that the forward pass uses, (rows, K)."""
        w = self.weight if self.mask is None else self.weight * self.mask
        return w if self.form is None else rounding.weights(w, self.form)

    def forward(self, x):
        return F.linear(x, self.effective())


class Layer(nn.Module):
    """One decoder layer, its parts named as in Hugging Face's files."""

    def __init__(self, shape):
        super().__init__()
        hidden, wide, narrow = (
            shape.hidden,
            shape.heads * shape.head_dim,
            shape.kv_heads * shape.head_dim,
        )
        self.shape, self.rounded = shape, False
        self.input_layernorm = nn.RMSNorm(hidden, shape.rms_eps)
        self.post_attention_layernorm = nn.RMSNorm(hidden, shape.rms_eps)
        self.self_attn = nn.ModuleDict(
            dict(
                q_proj=Linear(hidden, wide),
                k_proj=Linear(hidden, narrow),
                v_proj=Linear(hidden, narrow),
                o_proj=Linear(wide, hidden),
            )
        )
        self.mlp = nn.ModuleDict(
            dict(
                gate_proj=Linear(hidden, shape.ffn),
                up_proj=Linear(hidden, shape.ffn),
                down_proj=Linear(shape.ffn, hidden),
            )
        )

    def round(self, x):
        return rounding.activations(x) if self.rounded else x

    def heads(self, x):
        return x.unflatten(-1, (-1, self.shape.head_dim)).transpose(1, 2)

    def attend(self, x, cos, sin):
        part = self.self_attn
        q, k, v = (self.heads(part[n](x)) for n in ("q_proj", "k_proj", "v_proj"))
        q, k = (rotate(t, cos, sin) for t in (q, k))
        k, v = (t.repeat_interleave(self.shape.heads // self.shape.kv_heads, 1) for t in (k, v))
        mixed = F.scaled_dot_product_attention(q, k, v.to(q.dtype), is_causal=True)
        return part["o_proj"](self.round(mixed.transpose(1, 2).flatten(2)))

    def forward(self, x, cos, sin):
        x = x + self.attend(self.round(self.input_layernorm(x)), cos, sin)
        y = self.round(self.post_attention_layernorm(x))
        return x + self.mlp["down_proj"](
            self.round(F.silu(self.mlp["gate_proj"](y)) * self.mlp["up_proj"](y))
        )


def rotate(x, cos, sin):
    """RoPE in Hugging Face's order: the first half of a head turns with the second."""
    a, b = x.chunk(2, -1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), -1).to(x.dtype)


class Llama(nn.Module):
    """The model; `forward` gives logits float (batch, tokens, vocab) of ids (batch, tokens)."""

    def __init__(self, shape):
        super().__init__()
        self.shape, self.form = shape, None
        self.embed_tokens = nn.Embedding(shape.vocab, shape.hidden)
        self.layers: Any = nn.ModuleList(Layer(shape) for _ in range(shape.layers))
        self.norm = nn.RMSNorm(shape.hidden, shape.rms_eps)
        turns = shape.rope_theta ** (-torch.arange(0, shape.head_dim, 2) / shape.head_dim)
        angles = torch.outer(torch.arange(shape.context), turns)
        self.cos: torch.Tensor
        self.sin: torch.Tensor
        self.register_buffer("cos", angles.cos(), persistent=False)
        self.register_buffer("sin", angles.sin(), persistent=False)
        for name, p in self.named_parameters():
            if p.dim() == 2:
                residual = name.endswith(("o_proj.weight", "down_proj.weight"))
                nn.init.normal_(p, std=0.02 / (2 * shape.layers) ** 0.5 if residual else 0.02)

    @property
    def linears(self):
        """The matrices of the layers, by name."""
        return {n: m for n, m in self.named_modules() if isinstance(m, Linear)}

    def round_to(self, form):
        """Round weights of the layers to a format, the embedding and activations to 8 bits; None
        ends it.
        """
        self.form = form
        for linear in self.linears.values():
            linear.form = form
        for layer in self.layers:
            layer.rounded = form is not None

    def forward(self, ids):
        table = self.embed_tokens.weight
        table = (
            table if self.form is None else rounding.weights(table, rounding.vocabulary(self.form))
        )
        x = F.embedding(ids, table)
        cos, sin = self.cos[: ids.shape[1]], self.sin[: ids.shape[1]]
        for layer in self.layers:
            x = layer(x, cos, sin)
        x = self.norm(x)
        x = rounding.activations(x) if self.form is not None else x
        return F.linear(x, table)
