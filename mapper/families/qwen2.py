"""Qwen2 and Qwen2.5 (arXiv:2407.10671): Llama with biases of queries, keys and values."""

from sw_ref.graph import Graph

from ..decoder import decoder
from ..hyperparameters import Hyperparameters
from . import family
from .common import FUSED, LINEARS, NORMS, activation, windows
from .llama import layer


BIASED = frozenset(("q", "k", "v"))


def fields(f, values):
    """Windows of the upper layers, which no file turns on by default."""
    return windows(f, values["layers"], used=f.is_gguf) | activation(f, "silu") | {"biased": BIASED}


@family(
    gguf="qwen2",
    hf="qwen2",
    linears=LINEARS,
    norms=NORMS,
    fused=FUSED,
    fields=fields,
    toy={"biased": BIASED},
)
def qwen2(p: Hyperparameters) -> Graph:
    """The graph of a Qwen2."""
    return decoder(p, layer)
