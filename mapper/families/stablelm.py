"""StableLM (arXiv:2402.17834): Llama with layer norms and heads that are rotated in part; the large
one has attention and the feed-forward network side by side."""

from sw_ref.graph import Graph

from ..decoder import Layer, decoder
from ..hyperparameters import Hyperparameters, Rotary
from . import family
from .common import LINEARS, NORMS, activation


def layer(b: Layer, x: str) -> str:
    """A layer of a StableLM."""
    normed = b.layer_norm("attention / norm", x, "attn_norm")
    y = b.add("attention / add", x, b.attention(normed))
    if not b.p.parallel:
        normed = b.layer_norm("ffn / norm", y, "ffn_norm")
    return b.add("ffn / add", y, b.feed_forward(normed))


def fields(f, values):
    """Biases of queries, keys and values, and whether layers are parallel."""
    biased = f.biased if f.is_gguf else ("q", "k", "v") if f.flag(None, "use_qkv_bias") else ()
    if f.flag(None, "qk_layernorm"):
        f.refuse("qk_layernorm", "false", True)
    return activation(f, "silu") | {
        "biased": frozenset(biased),
        "parallel": f.flag("use_parallel_residual", "use_parallel_residual"),
    }


@family(
    gguf="stablelm",
    hf="stablelm",
    hf_defaults={"partial_rotary_factor": 0.25},
    linears=LINEARS,
    norms=NORMS,
    fields=fields,
    toy={"biased": frozenset(("q", "k", "v")), "rope": Rotary(theta=10000.0, dim=16)},
)
def stablelm(p: Hyperparameters) -> Graph:
    """The graph of a StableLM."""
    return decoder(p, layer, norm=Layer.layer_norm)
