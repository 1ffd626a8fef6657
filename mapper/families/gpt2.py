"""GPT-2: layer norms, biases, learned positions, and a GELU without a gate."""

from sw_ref.graph import Graph

from ..decoder import Layer, decoder
from ..hyperparameters import Hyperparameters
from . import Fused, Names, family
from .common import activation


LINEARS = {
    "q": Names("attn_q", "attn.q_proj"),
    "k": Names("attn_k", "attn.k_proj"),
    "v": Names("attn_v", "attn.v_proj"),
    "o": Names("attn_output", "attn.c_proj"),
    "up": Names("ffn_up", "mlp.c_fc"),
    "down": Names("ffn_down", "mlp.c_proj"),
}
NORMS = {"attn_norm": Names("attn_norm", "ln_1"), "ffn_norm": Names("ffn_norm", "ln_2")}
OUTSIDE = {
    "embedding": Names("token_embd", "transformer.wte"),
    "positions": Names("position_embd", "transformer.wpe"),
    "norm": Names("output_norm", "transformer.ln_f"),
    "head": Names("output", "lm_head"),
}


def layer(b: Layer, x: str) -> str:
    """A layer of a GPT-2."""
    y = b.attention(b.layer_norm("attention / norm", x, "attn_norm"))
    x = b.add("attention / add", x, y)
    y = b.feed_forward(b.layer_norm("ffn / norm", x, "ffn_norm"), gated=False)
    return b.add("ffn / add", x, y)


def fields(f, values):
    """Positions, and that nothing of Hugging Face's variants is there."""
    for key, plain in (
        ("scale_attn_weights", True),
        ("scale_attn_by_inverse_layer_idx", False),
        ("reorder_and_upcast_attn", False),
        ("add_cross_attention", False),
    ):
        if f.flag(None, key, plain) != plain and key != "reorder_and_upcast_attn":
            f.refuse(key, str(plain).lower(), not plain)
    return activation(f, "gelu_tanh", "activation_function") | {
        "biased": frozenset(LINEARS),
        "positions": f.integer("context_length", ("n_positions", "n_ctx")),
    }


@family(
    gguf="gpt2",
    hf="gpt2",
    linears=LINEARS,
    norms=NORMS,
    outside=OUTSIDE,
    fused=(Fused(Names("attn_qkv", "attn.c_attn"), ("q", "k", "v")),),
    fields=fields,
    hf_layers="transformer.h",
    hf_transposed=(*LINEARS,),
    rotary=False,
    tied=True,
    toy={"activation": "gelu_tanh", "biased": frozenset(LINEARS), "positions": 128},
)
def gpt2(p: Hyperparameters) -> Graph:
    """The graph of a GPT-2."""
    return decoder(p, layer, norm=Layer.layer_norm)
