"""Granite: Llama with factors of embeddings, scores, what layers add, and logits."""

from sw_ref.graph import Graph

from ..decoder import decoder
from ..hyperparameters import Hyperparameters
from . import family
from .common import FUSED, LINEARS, NORMS, activation, biases
from .llama import layer


def fields(f, values):
    """Biases and factors. Logits are divided by theirs. A `config.json` that says nothing of scores
    leaves them as they are; in a GGUF file they are scaled as anywhere."""
    plain = 0.0 if f.is_gguf else 1.0
    return (
        biases(f)
        | activation(f, "silu")
        | {
            "embedding_scale": f.number("embedding_scale", "embedding_multiplier", default=1.0),
            "attention_scale": f.number("attention.scale", "attention_multiplier", default=plain),
            "residual_scale": f.number("residual_scale", "residual_multiplier", default=1.0),
            "logit_scale": 1.0 / f.number("logit_scale", "logits_scaling", default=1.0),
        }
    )


@family(
    gguf="granite",
    hf="granite",
    hf_defaults={"attention_multiplier": 1.0},
    linears=LINEARS,
    norms=NORMS,
    fused=FUSED,
    fields=fields,
    interleaved=("q", "k"),
    toy={
        "embedding_scale": 12.0,
        "attention_scale": 0.25,
        "residual_scale": 0.22,
        "logit_scale": 0.125,
    },
)
def granite(p: Hyperparameters) -> Graph:
    """The graph of a Granite."""
    return decoder(p, layer)
