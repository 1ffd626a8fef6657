"""StarCoder2 (arXiv:2402.19173): GPT-2's layer with grouped queries, rotated, within a window."""

from sw_ref.graph import Graph

from ..decoder import Layer, decoder
from ..hyperparameters import Hyperparameters
from . import Names, family
from .common import LINEARS, NORMS, activation, windows
from .gpt2 import layer


BIASED = ("q", "k", "v", "o", "up", "down")


def fields(f, values):
    """Biases, and windows, which no GGUF file has."""
    for key, only in ("norm_type", "layer_norm"), ("mlp_type", "default"):
        f.choice(None, key, {only: only}, only)
    biased = f.biased if f.is_gguf else BIASED if f.flag(None, "use_bias", True) else ()
    return {"biased": frozenset(biased)} | windows(f, values["layers"]) | activation(f, "gelu_tanh")


@family(
    gguf="starcoder2",
    hf="starcoder2",
    linears={
        **{name: LINEARS[name] for name in "qkvo"},
        "up": Names("ffn_up", "mlp.c_fc"),
        "down": Names("ffn_down", "mlp.c_proj"),
    },
    norms=NORMS,
    fields=fields,
    tied=True,
    toy={"activation": "gelu_tanh", "biased": frozenset(BIASED), "window": 20},
)
def starcoder2(p: Hyperparameters) -> Graph:
    """The graph of a StarCoder2."""
    return decoder(p, layer, norm=Layer.layer_norm)
