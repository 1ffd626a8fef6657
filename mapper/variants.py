"""Refuse, by name, what makes a model compute something other than its family's graph.

A field that is overlooked gives wrong answers without a word. A GGUF's keys under its
architecture's name are all meant for whoever runs the model, so unknown ones are refused too. A
Hugging Face configuration is full of notes that change nothing; there, the fields that are known to
matter are refused.
"""

from typing import NoReturn

from host.errors import UserError

from .families import FAMILIES
from .read.bounds import brief


__all__ = ["gguf_family", "gguf_metadata", "hf_config", "hf_family", "hf_window"]


# GGUF's keys without `llama.`: what the reader reads, and what has no effect.
KNOWN = {
    "block_count",
    "context_length",
    "embedding_length",
    "feed_forward_length",
    "vocab_size",
    "attention.head_count",
    "attention.head_count_kv",
    "attention.key_length",
    "attention.value_length",
    "attention.layer_norm_rms_epsilon",
    "rope.dimension_count",
    "rope.freq_base",
    "attention.sliding_window",
    "tensor_data_layout",
    "rope.scaling.original_context_length",
    "rope.scaling.finetuned",
    "attention.layer_norm_epsilon",
}

# Values with which a key does nothing. llama.cpp takes a factor without a type as linear scaling.
GGUF_NEUTRAL = {
    "rope.scaling.type": ("none",),
    "rope.scaling.factor": (1.0, 0.0),
    "rope.scale_linear": (1.0, 0.0),
    "rope.scaling.attn_factor": (1.0,),
    "embedding_scale": (1.0, 0.0),
    "residual_scale": (1.0, 0.0),
    "logit_scale": (1.0, 0.0),
    "attention.scale": (0.0,),
    "attention.clamp_kqv": (0.0,),
    "attention.max_alibi_bias": (0.0,),
    "attn_logit_softcapping": (0.0,),
    "final_logit_softcapping": (0.0,),
    "attention.causal": (True,),
    "use_parallel_residual": (False,),
    "expert_count": (0,),
    "expert_used_count": (0,),
    "pooling_type": (0,),
}

HF_NEUTRAL = {
    "hidden_act": ("silu",),
    "pretraining_tp": (1, None),
    **{
        key: (False, None)
        for key in (
            "attention_bias",
            "mlp_bias",
            "qkv_bias",
            "use_bias",
            "bias",
            "alibi",
            "use_alibi",
            "qk_norm",
            "use_qk_norm",
            "qk_layernorm",
            "parallel_residual",
            "use_parallel_residual",
            "scale_embedding",
        )
    },
    **{
        key: (1.0, None)
        for key in (
            "partial_rotary_factor",
            "rotary_pct",
            "embedding_multiplier",
            "residual_multiplier",
            "logits_scaling",
            "logit_scale",
            "scale_emb",
        )
    },
    **{
        key: (None,)
        for key in (
            "attn_logit_softcapping",
            "final_logit_softcapping",
            "attention_multiplier",
            "query_pre_attn_scalar",
            "scale_depth",
            "clip_qkv",
            "no_rope_layers",
            "no_rope_layer_interval",
            "moe_intermediate_size",
        )
    },
    **{
        key: (None, 0)
        for key in ("num_local_experts", "num_experts", "n_routed_experts", "num_experts_per_tok")
    },
}

ROPE_FIELDS = {"rope_type", "type", "rope_theta", "partial_rotary_factor"}


def refuse(path, key, expected, value) -> NoReturn:
    """Refuse the value of a field."""
    raise UserError(
        f"{path}: {key!r} must be {expected}, not {brief(value)}; this model cannot be mapped yet"
    )


def check_neutral(path, fields, neutral, prefix=""):
    """Refuse fields that do something."""
    for key, values in neutral.items():
        value = fields.get(prefix + key, values[0])
        if not isinstance(value, (str, int, float, type(None))) or value not in values:
            refuse(path, prefix + key, repr(values[0]), value)


def check_window(path, key, window, context):
    """Refuse a sliding window below the context: here, every position sees all before it."""
    if isinstance(window, bool) or not isinstance(window, int) or window < context:
        refuse(path, key, f"at least the context, {context}", window)


def family_of(kind, value):
    """The family that files call `value` in the attribute `kind`, None if there is none; and what
    the known ones are called."""
    known = {getattr(its, kind): its for its in FAMILIES.values()}
    return known.get(value) if isinstance(value, str) else None, " or ".join(map(repr, known))


def gguf_family(path, architecture):
    """The :class:`~mapper.families.Family` of a GGUF's architecture."""
    family, known = family_of("gguf", architecture)
    if family is None:
        raise UserError(
            f"{path}: the architecture must be {known}, not {brief(architecture)}; "
            "others are not mapped yet"
        )
    return family


def hf_family(path, config):
    """The :class:`~mapper.families.Family` of a `config.json`."""
    family, known = family_of("hf", config.get("model_type"))
    if family is None:
        refuse(path, "model_type", known, config.get("model_type"))
    return family


def gguf_metadata(path, metadata, context, family):
    """Refuse metadata of a GGUF of a family; `context` is its trained one."""
    prefix = f"{family.gguf}."
    check_neutral(path, metadata, GGUF_NEUTRAL, prefix)
    window = metadata.get(f"{prefix}attention.sliding_window", 0)
    if not isinstance(window, int) or window != 0:
        check_window(path, f"{prefix}attention.sliding_window", window, context)
    for key in metadata:
        name = key.removeprefix(prefix)
        if name != key and name not in KNOWN and name not in GGUF_NEUTRAL:
            raise UserError(
                f"{path}: metadata {brief(key)} is not known, and may change what the "
                "model computes; this model cannot be mapped yet"
            )


def hf_window(path, config, context):
    """Refuse the sliding window of a `config.json`; `context` is the trained one."""
    if config.get("sliding_window") is not None and config.get("use_sliding_window") is not False:
        check_window(path, "sliding_window", config["sliding_window"], context)


def hf_config(path, config, family):
    """Refuse fields of a `config.json` of a family."""
    check_neutral(path, config, {**HF_NEUTRAL, **family.hf_fields})
    layers = config.get("layer_types")
    full = isinstance(layers, list) and all(kind == "full_attention" for kind in layers)
    if layers is not None and not full:
        refuse(path, "layer_types", "'full_attention' for all layers", layers)
    for name in "rope_scaling", "rope_parameters":  # the older and the newer name of one thing
        rope = config.get(name)
        if rope is None:
            continue
        if not isinstance(rope, dict):
            refuse(path, name, "a JSON object", rope)
        for key in "rope_type", "type":
            if rope.get(key, "default") != "default":
                refuse(path, key, "'default'", rope[key])
        check_neutral(path, rope, {"partial_rotary_factor": (1.0, None)})
        for key in rope:
            if key not in ROPE_FIELDS:
                refuse(path, name, f"without {brief(key)}", rope)
