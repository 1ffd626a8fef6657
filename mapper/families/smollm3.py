"""SmolLM3: Llama, of which every fourth layer has no positions."""

from sw_ref.graph import Graph

from ..decoder import decoder
from ..hyperparameters import Hyperparameters
from . import family
from .common import FUSED, LINEARS, NORMS, activation, biases, windows
from .llama import layer


INTERVAL = 4  # in GGUF files, which do not say it


def fields(f, values):
    """Biases, and the layers without positions. Windows are not used."""
    layers = values["layers"]
    interval = f.integer(None, "no_rope_layer_interval", default=INTERVAL)
    rotated = [int((n + 1) % interval != 0) for n in range(layers)]
    rotated = f.items(None, "no_rope_layers", layers, int, rotated)
    window = windows(f, layers, used=f.is_gguf)
    if window["window"]:
        f.refuse("use_sliding_window", "false", True)
    kinds = tuple("full" if turned else "nope" for turned in rotated)
    return biases(f) | activation(f, "silu") | {"kinds": kinds}


@family(
    gguf="smollm3",
    hf="smollm3",
    hf_defaults={"rope_theta": 2e6},
    linears=LINEARS,
    norms=NORMS,
    fused=FUSED,
    fields=fields,
    interleaved=("q", "k"),
    tied=True,
    toy={"layers": 5, "kinds": ("full", "nope", "full", "nope", "full")},
)
def smollm3(p: Hyperparameters) -> Graph:
    """The graph of a SmolLM3."""
    return decoder(p, layer)
