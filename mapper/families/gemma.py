"""Gemma (arXiv:2403.08295): Llama with a GELU gate, and embeddings times sqrt(hidden)."""

import math

from sw_ref.graph import Graph

from ..decoder import decoder
from ..hyperparameters import Hyperparameters
from . import family
from .common import LINEARS, NORMS, biases
from .llama import layer


# Older files say `gelu` and mean the approximation.
ACTIVATIONS = {"gelu_pytorch_tanh": "gelu_tanh", "gelu": "gelu_tanh", "gelu_new": "gelu_tanh"}


def gemma_fields(f, values):
    """Fields of all Gemmas."""
    gate = f.choice(None, ("hidden_activation", "hidden_act"), ACTIVATIONS, "gelu_tanh")
    return biases(f) | {"activation": gate, "embedding_scale": math.sqrt(values["hidden"])}


@family(
    gguf="gemma",
    hf="gemma",
    linears=LINEARS,
    norms=NORMS,
    fields=gemma_fields,
    hf_gain_offset=1.0,
    tied=True,
    toy={"activation": "gelu_tanh", "embedding_scale": 11.0},
)
def gemma(p: Hyperparameters) -> Graph:
    """The graph of a Gemma."""
    return decoder(p, layer)
