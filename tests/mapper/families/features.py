"""The features of each model that is compared with `transformers`, and how to leave them out."""

from dataclasses import replace

from sw_ref.rotary import RopeScaling

from .without import activation, biased, dropped, family, node, shape


__all__ = ["FEATURES"]


def of_rope(its, **changes):
    """The RoPE of a shape, changed."""
    return replace(its.rope, **changes)


def whole(its):
    """The RoPE of a shape, whose factors are as many as those of heads that are rotated whole."""
    scaling = its.rope.scaling
    factors = (*scaling.factors, *[1.0] * ((its.head_dim - its.rope.dim) // 2))
    return of_rope(its, dim=its.head_dim, scaling=replace(scaling, factors=factors))


ROPE = {"RoPE": shape(rope=None)}
SCALING = {"RoPE scaling": shape(rope=lambda its: of_rope(its, scaling=RopeScaling()))}
PARTIAL = {"partial RoPE": shape(rope=lambda its: of_rope(its, dim=its.head_dim))}
WINDOW = {"window": shape(window=0, kinds=())}
PATTERN = {"layers without window": shape(kinds=())}
QKV = {f"bias of {name}": biased(name) for name in "qkv"}
UNGATED = QKV | {f"bias of {name}": biased(name) for name in ("o", "up", "down")}
SILU = {"SiLU": activation("relu2")}
GELU = {"GELU": activation("relu2")}
QK_NORM = {
    "query norm": dropped("attention / q / norm"),
    "key norm": dropped("attention / k / norm"),
}
POST_NORMS = {
    "norm behind attention": dropped("attention / post norm"),
    "norm behind ffn": dropped("ffn / post norm"),
}
GEMMA = {
    "gain offset": family(hf_gain_offset=0.0),
    "embedding scale": shape(embedding_scale=1.0),
    **GELU,
}


# By the names of `sim.models.hf.HF_MODELS`.
FEATURES = {
    "tinyllama": ROPE | SILU,
    "llama2": ROPE,
    "llama3.1": SCALING,
    "llama linear": SCALING,
    "llama yarn": SCALING,
    "llama with biases": {
        f"bias of {n}": biased(n) for n in ("q", "k", "v", "o", "gate", "up", "down")
    },
    "smollm2": ROPE,
    "smollm3": {"layers without positions": shape(kinds=())},
    "mistral": WINDOW,
    "ministral": WINDOW | PATTERN,
    "qwen2": QKV | WINDOW | PATTERN,
    "qwen2.5": QKV,
    "qwen3": QK_NORM,
    "phi3": WINDOW,
    "phi4-mini": SCALING | {"partial RoPE": shape(rope=whole)},
    "gemma": GEMMA,
    "gemma2": GEMMA
    | WINDOW
    | PATTERN
    | POST_NORMS
    | {
        "score cap": shape(attention_cap=0.0),
        "logit cap": shape(logit_cap=0.0),
        "score scale": shape(attention_scale=0.0),
    },
    "gemma3": GEMMA
    | WINDOW
    | PATTERN
    | POST_NORMS
    | QK_NORM
    | {"local RoPE": shape(local_rope=None), "score scale": shape(attention_scale=0.0)},
    "olmo2": POST_NORMS | QK_NORM,
    "granite": {
        "embedding factor": shape(embedding_scale=1.0),
        "score factor": shape(attention_scale=0.0),
        "residual factor": shape(residual_scale=1.0),
        "logit factor": shape(logit_scale=1.0),
    },
    "stablelm": QKV | PARTIAL,
    "stablelm parallel": PARTIAL
    | {"parallel": node("ffn / up", inputs=("layer / attention / add",))},
    "starcoder2": UNGATED | ROPE | WINDOW | GELU,
    "gpt2": {
        "positions": dropped("embedding / add"),
        # The keys' moves all scores of a query alike, since nothing is rotated.
        **{f"bias of {n}": biased(n) for n in ("q", "v", "o", "up", "down")},
        **GELU,
    },
    "gptneox": {
        "parallel": shape(parallel=False),
        **UNGATED,
        **GELU,
        **PARTIAL,
    },
    "gptneox serial": {"serial": shape(parallel=True)},
    "helium": {"pairs side by side": family(hf_interleaved=())},
    "bitnet": {
        "norm before o": dropped("attention / sub norm"),
        "norm before down": dropped("ffn / sub norm"),
        "ReLU^2": activation("silu"),
    },
}
