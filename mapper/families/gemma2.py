"""Gemma 2 (arXiv:2408.00118): windows in every other layer, norms behind attention and the
feed-forward network, and caps of scores and logits."""

from sw_ref.graph import Graph

from ..decoder import Layer, decoder
from ..hyperparameters import Hyperparameters
from . import Names, family
from .common import LINEARS, NORMS, kinds_of, windows
from .gemma import gemma_fields


POST_NORMS = {
    "attn_norm": NORMS["attn_norm"],
    "attn_post_norm": Names("post_attention_norm", "post_attention_layernorm"),
    "ffn_norm": Names("ffn_norm", "pre_feedforward_layernorm"),
    "ffn_post_norm": Names("post_ffw_norm", "post_feedforward_layernorm"),
}
LARGEST = 46  # layers of the model whose scores are scaled by hidden / heads, as llama.cpp has it


def post_normed(b: Layer, x: str, qk_norm: str = "") -> str:
    """A layer with norms before and behind its parts."""
    y = b.attention(b.norm("attention / norm", x, "attn_norm"), qk_norm=qk_norm)
    x = b.add("attention / add", x, b.norm("attention / post norm", y, "attn_post_norm"))
    y = b.feed_forward(b.norm("ffn / norm", x, "ffn_norm"))
    return b.add("ffn / add", x, b.norm("ffn / post norm", y, "ffn_post_norm"))


def score_scale(f, values, largest):
    """What scores are multiplied with: GGUF files do not say it, but for the number of layers."""
    dim = values["head_dim"]
    if f.is_gguf and values["layers"] == largest:
        dim = values["hidden"] // values["heads"]
    dim = f.number(None, "query_pre_attn_scalar", default=float(dim))
    return {"attention_scale": dim**-0.5}


def fields(f, values):
    """Caps, and windows in even layers where a file does not say which."""
    found = windows(f, values["layers"])
    if "layer_types" not in f.values:
        kinds = ("full" if n % 2 else "window" for n in range(values["layers"]))
        found = kinds_of(found["window"], kinds)
    return (
        gemma_fields(f, values)
        | score_scale(f, values, LARGEST)
        | found
        | {
            "attention_cap": f.number(
                "attn_logit_softcapping", "attn_logit_softcapping", default=0.0
            ),
            "logit_cap": f.number(
                "final_logit_softcapping", "final_logit_softcapping", default=0.0
            ),
        }
    )


@family(
    gguf="gemma2",
    hf="gemma2",
    hf_defaults={
        "attn_logit_softcapping": 50.0,
        "final_logit_softcapping": 30.0,
        "query_pre_attn_scalar": 256,
        "sliding_window": 4096,
    },
    linears=LINEARS,
    norms=POST_NORMS,
    fields=fields,
    hf_gain_offset=1.0,
    tied=True,
    toy={
        "activation": "gelu_tanh",
        "embedding_scale": 11.0,
        "attention_cap": 5.0,
        "logit_cap": 3.0,
        "attention_scale": 0.1,
        "window": 20,
        "layers": 3,
        "kinds": ("window", "full", "window"),
    },
)
def gemma2(p: Hyperparameters) -> Graph:
    """The graph of a Gemma 2."""
    return decoder(p, post_normed)
