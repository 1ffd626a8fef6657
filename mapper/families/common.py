"""What several families' files have in common: tensors' names, and fields."""

from ..read.fields import Fields
from . import Fused, Names


__all__ = [
    "ACTIVATIONS",
    "FUSED",
    "HEAD_NORMS",
    "LINEARS",
    "NORMS",
    "activation",
    "biases",
    "kinds_of",
    "windows",
]


# Llama's names, which most families have.
LINEARS = {
    "q": Names("attn_q", "self_attn.q_proj"),
    "k": Names("attn_k", "self_attn.k_proj"),
    "v": Names("attn_v", "self_attn.v_proj"),
    "o": Names("attn_output", "self_attn.o_proj"),
    "gate": Names("ffn_gate", "mlp.gate_proj"),
    "up": Names("ffn_up", "mlp.up_proj"),
    "down": Names("ffn_down", "mlp.down_proj"),
}
NORMS = {
    "attn_norm": Names("attn_norm", "input_layernorm"),
    "ffn_norm": Names("ffn_norm", "post_attention_layernorm"),
}
HEAD_NORMS = {
    "q_norm": Names("attn_q_norm", "self_attn.q_norm"),
    "k_norm": Names("attn_k_norm", "self_attn.k_norm"),
}
FUSED = (
    Fused(Names("attn_qkv", "self_attn.qkv_proj"), ("q", "k", "v")),
    Fused(Names("ffn_up", "mlp.gate_up_proj"), ("gate", "up")),
)

# Hugging Face's names of activations, and those of sequences.
ACTIVATIONS = {
    "silu": "silu",
    "swish": "silu",
    "gelu": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_fast": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "relu": "relu",
    "relu2": "relu2",
}
LAYER_TYPES = {"full_attention": "full", "sliding_attention": "window"}


def activation(f: Fields, default: str, key: str | tuple[str, ...] = "hidden_act"):
    """The activation that a `config.json` names. Where it names none, and in GGUF files, it is
    `default`, one of :data:`sw_ref.sequences.GATES`."""
    return {"activation": f.choice(None, key, ACTIVATIONS, default)}


def biases(f: Fields):
    """Products with biases: those that `attention_bias` and `mlp_bias` of a `config.json` say, or
    that a GGUF file has."""
    if f.is_gguf:
        return {"biased": f.biased}
    found: tuple[str, ...] = ()
    if f.flag(None, "attention_bias"):
        found += ("q", "k", "v", "o")
    if f.flag(None, "mlp_bias"):
        found += ("gate", "up", "down")
    return {"biased": frozenset(found)}


def kinds_of(window, kinds):
    """Hyperparameters of layers of different kinds, of which those of kind ``window`` have one."""
    kinds = tuple(kinds)
    if not window or "window" not in kinds:
        kinds = tuple("full" if kind == "window" else kind for kind in kinds)
        window = 0
    alike = len({*kinds}) == 1 and kinds[0] in ("full", "window")
    return {"window": window, "kinds": () if alike else kinds}


def windows(f: Fields, layers: int, used: bool = True):
    """Windows as GGUF files, and most of Hugging Face's families, say them.

    `used` is whether there is one where a `config.json` does not say so.
    """
    window = f.integer("attention.sliding_window", "sliding_window", low=0, default=0)
    if not f.flag(None, "use_sliding_window", used):
        window = 0
    first = f.integer(None, "max_window_layers", low=0, default=0)
    kinds = ["full" if n < first else "window" for n in range(layers)]
    types = f.items(None, "layer_types", layers, str, None)
    if types is not None:
        for kind in types:
            if kind not in LAYER_TYPES:
                f.refuse("layer_types", " or ".join(map(repr, LAYER_TYPES)), kind)
        kinds = [LAYER_TYPES[kind] for kind in types]
    return kinds_of(window, kinds)
