"""Mistral (arXiv:2310.06825) and Ministral: a Llama whose layers, or some of them, have a window.

In GGUF they are Llamas.
"""

from sw_ref.graph import Graph

from ..decoder import decoder
from ..hyperparameters import Hyperparameters
from . import family
from .common import FUSED, LINEARS, NORMS
from .llama import fields, layer


@family(
    hf=("mistral", "ministral"),
    hf_defaults={"sliding_window": 4096},
    linears=LINEARS,
    norms=NORMS,
    fused=FUSED,
    fields=fields,
    toy={"window": 20},
)
def mistral(p: Hyperparameters) -> Graph:
    """The graph of a Mistral."""
    return decoder(p, layer)
