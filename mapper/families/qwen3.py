"""Qwen3 (arXiv:2505.09388): Llama with an RMS norm over each query and key head."""

from sw_ref.graph import Graph

from ..decoder import Layer, decoder
from ..hyperparameters import Hyperparameters
from . import family
from .common import FUSED, HEAD_NORMS, LINEARS, NORMS, activation, biases, windows


def layer(b: Layer, x: str) -> str:
    """A layer of a Qwen3."""
    y = b.attention(b.norm("attention / norm", x, "attn_norm"), qk_norm="heads")
    x = b.add("attention / add", x, y)
    y = b.feed_forward(b.norm("ffn / norm", x, "ffn_norm"))
    return b.add("ffn / add", x, y)


def fields(f, values):
    """Biases, and windows, which no file turns on by default."""
    return biases(f) | windows(f, values["layers"], used=f.is_gguf) | activation(f, "silu")


@family(
    gguf="qwen3",
    hf="qwen3",
    linears=LINEARS,
    norms={**NORMS, **HEAD_NORMS},
    fused=FUSED,
    fields=fields,
)
def qwen3(p: Hyperparameters) -> Graph:
    """The graph of a Qwen3."""
    return decoder(p, layer)
