"""Gemma 3 (arXiv:2503.19786): Gemma 2 without caps, with norms of queries and keys, five layers
with a window to one without, and a RoPE table of each kind."""

from functools import partial

from sw_ref.graph import Graph

from ..decoder import decoder
from ..hyperparameters import Hyperparameters, Rotary
from ..read.rotary import rotary
from . import family
from .common import HEAD_NORMS, LINEARS, kinds_of, windows
from .gemma import gemma_fields
from .gemma2 import POST_NORMS, post_normed, score_scale


PATTERN = 6  # in which the last layer has no window
LOCAL_THETA = 10000.0  # in files that do not say it
LARGEST = 62  # layers of the model whose scores are scaled by hidden / heads, as llama.cpp has it


def fields(f, values):
    """Windows, their pattern, and the RoPE table of layers that have them."""
    layers = values["layers"]
    pattern = f.integer(
        "attention.sliding_window_pattern",
        ("sliding_window_pattern", "_sliding_window_pattern"),
        default=PATTERN,
    )
    found = windows(f, layers)
    if "layer_types" not in f.values:
        kinds = ("window" if (n + 1) % pattern else "full" for n in range(layers))
        found = kinds_of(found["window"], kinds)
    for cap in "attn_logit_softcapping", "final_logit_softcapping":
        if f.number(cap, cap, default=0.0):
            f.refuse(cap, "null", f.get(cap, cap)[1])
    found |= score_scale(f, values, LARGEST) | gemma_fields(f, values)
    return found | {"local_rope": local_rope(f, values["head_dim"])}


def local_rope(f, head_dim):
    """The table of layers with a window, which nothing scales; and, of a `config.json`, that of the
    others is that of ``full_attention``."""
    if f.is_gguf:
        theta = f.number("rope.freq_base_swa", None, default=LOCAL_THETA)
        return Rotary(theta=theta, dim=head_dim)
    if "rope_local_base_freq" not in f.values and not f.values.get("rope_parameters"):
        return Rotary(theta=LOCAL_THETA, dim=head_dim)
    return rotary(f, head_dim, 1, layer_type="sliding_attention")


@family(
    gguf="gemma3",
    hf="gemma3_text",
    hf_defaults={"query_pre_attn_scalar": 256, "rope_theta": 1e6, "sliding_window": 4096},
    linears=LINEARS,
    norms={**POST_NORMS, **HEAD_NORMS},
    fields=fields,
    hf_gain_offset=1.0,
    tied=True,
    toy={
        "activation": "gelu_tanh",
        "embedding_scale": 11.0,
        "attention_scale": 0.1,
        "window": 20,
        "layers": 8,
        "kinds": ("window", "window", "full") * 2 + ("window", "window"),
        "local_rope": Rotary(theta=100.0, dim=64),
    },
)
def gemma3(p: Hyperparameters) -> Graph:
    """The graph of a Gemma 3."""
    return decoder(p, partial(post_normed, qk_norm="heads"))
