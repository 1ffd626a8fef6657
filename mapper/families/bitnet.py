"""BitNet b1.58 (arXiv:2402.17764, arXiv:2504.12285): ternary weights, norms before the output
projections of attention and of the feed-forward network, and a gate of ReLU squared."""

from sw_ref.graph import Graph

from ..decoder import Layer, decoder
from ..hyperparameters import Hyperparameters
from . import Names, family
from .common import FUSED, LINEARS, NORMS, activation, biases


SUB_NORMS = {
    "attn_sub_norm": Names("attn_sub_norm", "self_attn.attn_sub_norm"),
    "ffn_sub_norm": Names("ffn_sub_norm", "mlp.ffn_sub_norm"),
}
FIRST = "bitnet."  # GGUF's name for the first models, whose gate is SiLU


def layer(b: Layer, x: str) -> str:
    """A layer of a BitNet."""
    y = b.attention(b.norm("attention / norm", x, "attn_norm"), sub_norm="attn_sub_norm")
    x = b.add("attention / add", x, y)
    y = b.feed_forward(b.norm("ffn / norm", x, "ffn_norm"), sub_norm="ffn_sub_norm")
    return b.add("ffn / add", x, y)


def fields(f, values):
    """Biases, which no published file has, and the gate."""
    return biases(f) | activation(f, "silu" if f.prefix == FIRST else "relu2")


@family(
    gguf=("bitnet-b1.58", "bitnet"),
    hf="bitnet",
    hf_defaults={"rope_theta": 5e5},
    linears=LINEARS,
    norms={**NORMS, **SUB_NORMS},
    fused=FUSED,
    fields=fields,
    toy={"activation": "relu2"},
)
def bitnet(p: Hyperparameters) -> Graph:
    """The graph of a BitNet."""
    return decoder(p, layer)
