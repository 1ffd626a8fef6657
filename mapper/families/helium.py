"""Helium: Llama whose rotated pairs lie side by side in a folder, too."""

from sw_ref.graph import Graph

from ..decoder import decoder
from ..hyperparameters import Hyperparameters
from . import family
from .common import FUSED, LINEARS, NORMS, activation, biases
from .llama import layer


def fields(f, values):
    """Biases, which no published file has."""
    return biases(f) | activation(f, "silu")


@family(
    hf="helium",
    hf_defaults={"rope_theta": 1e5},
    linears=LINEARS,
    norms=NORMS,
    fused=FUSED,
    fields=fields,
    hf_interleaved=("q", "k"),
)
def helium(p: Hyperparameters) -> Graph:
    """The graph of a Helium."""
    return decoder(p, layer)
