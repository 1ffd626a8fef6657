"""GPT-NeoX and Pythia (arXiv:2204.06745): layer norms, biases, heads that are rotated in part, a
GELU without a gate, and attention and the feed-forward network side by side."""

from sw_ref.graph import Graph

from ..decoder import Layer, decoder
from ..hyperparameters import Hyperparameters, Rotary
from . import Fused, Names, family
from .common import NORMS, activation


LINEARS = {
    "q": Names("attn_q", "attention.q_proj"),
    "k": Names("attn_k", "attention.k_proj"),
    "v": Names("attn_v", "attention.v_proj"),
    "o": Names("attn_output", "attention.dense"),
    "up": Names("ffn_up", "mlp.dense_h_to_4h"),
    "down": Names("ffn_down", "mlp.dense_4h_to_h"),
}
OUTSIDE = {
    "embedding": Names("token_embd", "gpt_neox.embed_in"),
    "norm": Names("output_norm", "gpt_neox.final_layer_norm"),
    "head": Names("output", "embed_out"),
}


def layer(b: Layer, x: str) -> str:
    """A layer of a GPT-NeoX."""
    y = b.add("attention / add", x, b.attention(b.layer_norm("attention / norm", x, "attn_norm")))
    normed = b.layer_norm("ffn / norm", x if b.p.parallel else y, "ffn_norm")
    return b.add("ffn / add", y, b.feed_forward(normed, gated=False))


def fields(f, values):
    """Biases, and whether layers are parallel."""
    attention = f.flag(None, "attention_bias", True)
    return activation(f, "gelu") | {
        "biased": frozenset(LINEARS) if attention else frozenset(("up", "down")),
        "parallel": f.flag("use_parallel_residual", "use_parallel_residual", True),
    }


@family(
    gguf="gptneox",
    hf="gpt_neox",
    hf_defaults={"partial_rotary_factor": 0.25},
    linears=LINEARS,
    norms=NORMS,
    outside=OUTSIDE,
    fused=(Fused(Names("attn_qkv", "attention.query_key_value"), ("q", "k", "v"), by_head=True),),
    fields=fields,
    hf_layers="gpt_neox.layers",
    toy={
        "activation": "gelu",
        "biased": frozenset(LINEARS),
        "parallel": True,
        "rope": Rotary(theta=10000.0, dim=16),
    },
)
def gptneox(p: Hyperparameters) -> Graph:
    """The graph of a GPT-NeoX."""
    return decoder(p, layer, norm=Layer.layer_norm)
