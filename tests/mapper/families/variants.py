"""What is compared with `transformers`: variants of each family, and the features of each, with
the ways to leave them out."""

from dataclasses import dataclass, field, replace
from typing import Any

from sw_ref.rotary import RopeScaling

from .without import Without, activation, biased, dropped, family, node, shape


__all__ = ["PLAIN", "VARIANTS", "Variant"]


@dataclass(frozen=True, kw_only=True)
class Variant:
    """A model that is made.

    Attributes
    ----------
    family : :class:`str`
        Of :data:`mapper.families.FAMILIES`.
    config : :class:`str`
        The class of its configuration in `transformers`.
    options : mapping
        Arguments of that, besides :data:`.folders.SIZES`.
    features : mapping of :class:`str` to :class:`~.without.Without`
    bias : :class:`float`
        Of products' biases.
    """

    family: str
    config: str
    options: dict[str, Any] = field(default_factory=dict)
    features: dict[str, Without] = field(default_factory=dict)
    bias: float = 1.0


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
NORMS = {
    "attention norm": dropped("attention / norm"),
    "ffn norm": dropped("ffn / norm"),
    "last norm": dropped("norm"),
}
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
HEAD = dict(head_dim=64)
PLAIN = Variant(family="llama", config="LlamaConfig", options=HEAD, features=ROPE | SILU)


def scaled(kind, **more):
    return Variant(
        family="llama",
        config="LlamaConfig",
        options={**HEAD, "rope_parameters": {"rope_type": kind, "rope_theta": 10000.0, **more}},
        features=SCALING,
    )


VARIANTS = {
    "tinyllama": PLAIN,
    "llama2": Variant(
        family="llama", config="LlamaConfig", options=dict(num_key_value_heads=4), features=ROPE
    ),
    "llama3.1": scaled(
        "llama3",
        factor=8.0,
        low_freq_factor=1.0,
        high_freq_factor=4.0,
        original_max_position_embeddings=32,
    ),
    "llama linear": scaled("linear", factor=4.0),
    "llama yarn": scaled("yarn", factor=4.0, original_max_position_embeddings=32),
    "llama with biases": Variant(
        family="llama",
        config="LlamaConfig",
        options=dict(**HEAD, attention_bias=True, mlp_bias=True, initializer_range=0.15),
        features={f"bias of {n}": biased(n) for n in ("q", "k", "v", "o", "gate", "up", "down")},
    ),
    "smollm2": Variant(
        family="llama",
        config="LlamaConfig",
        options=dict(tie_word_embeddings=True),
        features=ROPE,
    ),
    "smollm3": Variant(
        family="smollm3",
        config="SmolLM3Config",
        options=dict(
            num_hidden_layers=4, no_rope_layer_interval=2, rope_parameters={"rope_theta": 10000.0}
        ),
        features={"layers without positions": shape(kinds=())},
    ),
    "mistral": Variant(
        family="mistral",
        config="MistralConfig",
        options=dict(**HEAD, sliding_window=20),
        features=WINDOW,
    ),
    "ministral": Variant(
        family="mistral",
        config="MinistralConfig",
        options=dict(
            **HEAD,
            num_hidden_layers=4,
            sliding_window=20,
            layer_types=["full_attention", *["sliding_attention"] * 3],
        ),
        features=WINDOW | PATTERN,
    ),
    "qwen2": Variant(
        family="qwen2",
        config="Qwen2Config",
        options=dict(use_sliding_window=True, sliding_window=20, max_window_layers=1),
        features=QKV | WINDOW | PATTERN,
    ),
    "qwen2.5": Variant(family="qwen2", config="Qwen2Config", features=QKV),
    "qwen3": Variant(
        family="qwen3",
        config="Qwen3Config",
        options=dict(**HEAD, tie_word_embeddings=True),
        features=QK_NORM,
    ),
    "phi3": Variant(
        family="phi3", config="Phi3Config", options=dict(sliding_window=20), features=WINDOW
    ),
    "phi4-mini": Variant(
        family="phi3",
        config="Phi3Config",
        options=dict(
            head_dim=32,
            partial_rotary_factor=0.75,
            original_max_position_embeddings=32,
            rope_parameters={
                "rope_type": "longrope",
                "rope_theta": 10000.0,
                "partial_rotary_factor": 0.75,
                "short_factor": [1.0] * 12,
                "long_factor": [1.0 + n for n in range(12)],
                "original_max_position_embeddings": 32,
            },
            tie_word_embeddings=True,
        ),
        features=SCALING | {"partial RoPE": shape(rope=whole)},
    ),
    "gemma": Variant(family="gemma", config="GemmaConfig", options=HEAD, features=GEMMA),
    "gemma2": Variant(
        family="gemma2",
        config="Gemma2Config",
        options=dict(
            **HEAD,
            sliding_window=20,
            attn_logit_softcapping=2.0,
            final_logit_softcapping=2.0,
            query_pre_attn_scalar=4,
        ),
        features=GEMMA
        | WINDOW
        | PATTERN
        | POST_NORMS
        | {
            "score cap": shape(attention_cap=0.0),
            "logit cap": shape(logit_cap=0.0),
            "score scale": shape(attention_scale=0.0),
        },
    ),
    "gemma3": Variant(
        family="gemma3",
        config="Gemma3TextConfig",
        options=dict(**HEAD, num_hidden_layers=6, sliding_window=20, query_pre_attn_scalar=16),
        features=GEMMA
        | WINDOW
        | PATTERN
        | POST_NORMS
        | QK_NORM
        | {"local RoPE": shape(local_rope=None), "score scale": shape(attention_scale=0.0)},
    ),
    "olmo2": Variant(
        family="olmo2", config="Olmo2Config", options={}, features=POST_NORMS | QK_NORM
    ),
    "granite": Variant(
        family="granite",
        config="GraniteConfig",
        options=dict(
            embedding_multiplier=12.0,
            attention_multiplier=0.8,
            residual_multiplier=0.5,
            logits_scaling=8.0,
        ),
        features={
            "embedding factor": shape(embedding_scale=1.0),
            "score factor": shape(attention_scale=0.0),
            "residual factor": shape(residual_scale=1.0),
            "logit factor": shape(logit_scale=1.0),
        },
    ),
    "stablelm": Variant(
        family="stablelm",
        config="StableLmConfig",
        options=dict(use_qkv_bias=True, partial_rotary_factor=0.5, initializer_range=0.15),
        features=QKV | PARTIAL,
    ),
    "stablelm parallel": Variant(
        family="stablelm",
        config="StableLmConfig",
        options=dict(use_parallel_residual=True),
        features=PARTIAL | {"parallel": node("ffn / up", inputs=("layer / attention / add",))},
    ),
    "gpt2": Variant(
        family="gpt2",
        config="GPT2Config",
        options=dict(
            activation_function="gelu_new",
            num_key_value_heads=None,
            intermediate_size=None,
            initializer_range=0.2,
        ),
        features={
            "positions": dropped("embedding / add"),
            # The keys' moves all scores of a query alike, since nothing is rotated.
            **{f"bias of {n}": biased(n) for n in ("q", "v", "o", "up", "down")},
            **GELU,
        },
    ),
    "gptneox": Variant(
        family="gptneox",
        config="GPTNeoXConfig",
        options=dict(
            rotary_pct=0.75, intermediate_size=512, num_key_value_heads=None, initializer_range=0.2
        ),
        features={
            "parallel": shape(parallel=False),
            **UNGATED,
            **GELU,
            **PARTIAL,
        },
        bias=1.7,
    ),
    "gptneox serial": Variant(
        family="gptneox",
        config="GPTNeoXConfig",
        options=dict(use_parallel_residual=False, intermediate_size=512, num_key_value_heads=None),
        features={"serial": shape(parallel=True)},
    ),
    "starcoder2": Variant(
        family="starcoder2",
        config="Starcoder2Config",
        options=dict(
            sliding_window=20, initializer_range=0.2, norm_type="layer_norm", mlp_type="default"
        ),
        features=UNGATED | ROPE | WINDOW | GELU,
        bias=1.7,
    ),
    "helium": Variant(
        family="helium",
        config="HeliumConfig",
        options=dict(head_dim=32),
        features={"pairs side by side": family(hf_interleaved=())},
    ),
    "bitnet": Variant(
        family="bitnet",
        config="BitNetConfig",
        features={
            "norm before o": dropped("attention / sub norm"),
            "norm before down": dropped("ffn / sub norm"),
            "ReLU^2": activation("silu"),
        },
    ),
}
