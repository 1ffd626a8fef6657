"""Llama (arXiv:2302.13971): RMS norms, rotary embedding, grouped queries, a SiLU gate, no
biases."""

from sw_ref.graph import Graph

from ..decoder import Layer, decoder
from ..hyperparameters import Hyperparameters
from ..read.fields import Fields
from . import Fused, Names, family


LINEARS = {
    "q": Names("attn_q", "self_attn.q_proj"),
    "k": Names("attn_k", "self_attn.k_proj"),
    "v": Names("attn_v", "self_attn.v_proj"),
    "o": Names("attn_output", "self_attn.o_proj"),
    "gate": Names("ffn_gate", "mlp.gate_proj"),
    "up": Names("ffn_up", "mlp.up_proj"),
    "down": Names("ffn_down", "mlp.down_proj"),
}
NORMS = {
    "attn_norm": Names("attn_norm", "input_layernorm"),
    "ffn_norm": Names("ffn_norm", "post_attention_layernorm"),
}
FUSED = (
    Fused(Names("attn_qkv", "self_attn.qkv_proj"), ("q", "k", "v")),
    Fused(Names("ffn_gate_up", "mlp.gate_up_proj"), ("gate", "up")),
)


def fields(f: Fields, values) -> dict:
    """Biases, which few files have."""
    return {"biased": biased(f)}


def biased(f: Fields) -> frozenset[str]:
    """What `attention_bias` and `mlp_bias` of a `config.json` say."""
    names = ()
    if f.flag(None, "attention_bias"):
        names += ("q", "k", "v", "o")
    if f.flag(None, "mlp_bias"):
        names += ("gate", "up", "down")
    return frozenset(names)


def layer(b: Layer, x: str) -> str:
    """A layer of a Llama, and of what differs from it in hyperparameters alone."""
    y = b.attention(b.norm("attention / norm", x, "attn_norm"))
    x = b.add("attention / add", x, y)
    y = b.feed_forward(b.norm("ffn / norm", x, "ffn_norm"))
    return b.add("ffn / add", x, y)


@family(gguf="llama", hf="llama", linears=LINEARS, norms=NORMS, fields=fields, interleaved=("q", "k"), fused=FUSED)
def llama(p: Hyperparameters) -> Graph:
    """The graph of a Llama."""
    return decoder(p, layer)
