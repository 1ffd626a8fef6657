"""OLMo 2 (arXiv:2501.00656): norms behind attention and the feed-forward network, none before, and
norms of all queries and of all keys."""

from sw_ref.graph import Graph

from ..decoder import Layer, decoder
from ..hyperparameters import Hyperparameters
from . import family
from .common import HEAD_NORMS, LINEARS, activation, biases
from .gemma2 import POST_NORMS


def layer(b: Layer, x: str) -> str:
    """A layer of an OLMo 2."""
    y = b.attention(x, qk_norm="all")
    x = b.add("attention / add", x, b.norm("attention / post norm", y, "attn_post_norm"))
    y = b.feed_forward(x)
    return b.add("ffn / add", x, b.norm("ffn / post norm", y, "ffn_post_norm"))


def fields(f, values):
    """Biases, which no published file has."""
    return biases(f) | activation(f, "silu")


@family(
    gguf="olmo2",
    hf="olmo2",
    linears=LINEARS,
    norms={
        "attn_post_norm": POST_NORMS["attn_post_norm"],
        "ffn_post_norm": POST_NORMS["ffn_post_norm"],
        **HEAD_NORMS,
    },
    fields=fields,
)
def olmo2(p: Hyperparameters) -> Graph:
    """The graph of an OLMo 2."""
    return decoder(p, layer)
