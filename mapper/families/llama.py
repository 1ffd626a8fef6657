"""Llama (arXiv:2302.13971): RMS norms, rotary embedding, grouped queries, a SiLU gate, no
biases."""

from sw_ref.graph import Graph

from ..decoder import Layer, decoder
from ..hyperparameters import Hyperparameters
from ..read.fields import Fields
from . import family
from .common import FUSED, LINEARS, NORMS, activation, biases, windows


def fields(f: Fields, values):
    """Biases and windows, which few files have."""
    return biases(f) | windows(f, values["layers"]) | activation(f, "silu")


def layer(b: Layer, x: str) -> str:
    """A layer of a Llama, and of what differs from it in hyperparameters alone."""
    y = b.attention(b.norm("attention / norm", x, "attn_norm"))
    x = b.add("attention / add", x, y)
    y = b.feed_forward(b.norm("ffn / norm", x, "ffn_norm"))
    return b.add("ffn / add", x, y)


@family(
    gguf="llama",
    hf="llama",
    linears=LINEARS,
    norms=NORMS,
    fields=fields,
    interleaved=("q", "k"),
    fused=FUSED,
)
def llama(p: Hyperparameters) -> Graph:
    """The graph of a Llama."""
    return decoder(p, layer)
