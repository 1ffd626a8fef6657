"""Phi-3 and Phi-4-mini (arXiv:2404.14219): Llama with a window, heads that are rotated in part, and
factors of RoPE for long contexts; files have its matrices fused."""

from sw_ref.graph import Graph

from ..decoder import decoder
from ..hyperparameters import Hyperparameters, Rotary
from . import family
from .common import FUSED, LINEARS, NORMS, activation, windows
from .llama import layer


def fields(f, values):
    """Windows."""
    return windows(f, values["layers"]) | activation(f, "silu")


@family(
    gguf="phi3",
    hf="phi3",
    linears=LINEARS,
    norms=NORMS,
    fused=FUSED,
    fields=fields,
    toy={"window": 20, "rope": Rotary(theta=10000.0, dim=48)},
)
def phi3(p: Hyperparameters) -> Graph:
    """The graph of a Phi-3."""
    return decoder(p, layer)
