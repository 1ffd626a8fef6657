"""Refuse, by name, what makes a model compute something other than its family's graph.

A field that is overlooked gives wrong answers without a word. A GGUF's keys under its
architecture's name are all meant for whoever runs the model, so unknown ones are refused too. A
Hugging Face configuration is full of notes that change nothing; there, the fields that are known to
matter are refused.
"""

import re
from typing import NoReturn

from host.errors import UserError

from .families import called
from .later import EXPERTS, RECURRENT, what_is
from .read.bounds import brief
from .read.fields import Fields


__all__ = ["check_rest", "gguf_family", "hf_family"]


# GGUF's keys without `llama.`: what the reader reads, and what has no effect.
KNOWN = {
    "tensor_data_layout",
    "rope.scaling.original_context_length",
    "rope.scaling.finetuned",
    "vocab_size",
    "attention.layer_norm_epsilon",
    "attention.layer_norm_rms_epsilon",
    "attention.key_length_swa",
    "attention.value_length_swa",
    "rope.dimension_count_swa",
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
            "rotary_scaling_factor",
            "full_attn_mod",
            "interpolate_factor",
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

# Fields of a `config.json` that the readers see to, or that say nothing of what is computed.
HF_KNOWN = {
    "architectures",
    "auto_map",
    "bos_token_id",
    "cache_implementation",
    "chunk_size_feed_forward",
    "dtype",
    "eos_token_id",
    "is_decoder",
    "is_llama_config",
    "model_type",
    "pad_token_id",
    "pretraining_tp",  # how a product was once cut in pieces
    "quantization_config",
    "sep_token_id",
    "tie_word_embeddings",
    "tokenizer_class",
    "torch_dtype",
    "transformers_version",
    "transformers.js_config",
    "use_cache",
    "vocab_size",
}
# Those of training, of generating, and of a library's own.
HF_NOTES = re.compile(
    "^_|dropout|drop$|initializer|_token_id$|^output_|^return_|^unsloth|^summary_|^task_|label"
    "|^attn_implementation|^torch|gradient|^finetuning|^problem_type|^max_window_layers$"
)
# What a model is that has fields of such names.
LATER = {
    EXPERTS: re.compile("expert|moe_|router"),
    RECURRENT: re.compile("^ssm|mamba|^wkv|^time_mix|^linear_.*_head|shortconv|conv_kernel"),
}


def not_yet(key):
    """Why a model with a field that is not understood is refused."""
    for what, names in LATER.items():
        if names.search(key):
            return f"{what} is not mapped yet"
    return "this model cannot be mapped yet"


def refuse(path, key, expected, value) -> NoReturn:
    """Refuse the value of a field."""
    raise UserError(f"{path}: {key!r} must be {expected}, not {brief(value)}; {not_yet(key)}")


def family_of(kind, value):
    """The family that files call `value` in the attribute `kind`, None if there is none; and what
    the known ones are called."""
    known = called(kind)
    return known.get(value) if isinstance(value, str) else None, " or ".join(map(repr, known))


def check_known(path, architecture):
    """Refuse an architecture of which it is known what it is."""
    if what := what_is(architecture):
        raise UserError(
            f"{path}: the architecture {brief(architecture)} is {what}, which is not mapped yet"
        )


def gguf_family(path, architecture):
    """The :class:`~mapper.families.Family` of a GGUF's architecture."""
    family, known = family_of("gguf", architecture)
    if family is None:
        check_known(path, architecture)
        raise UserError(
            f"{path}: the architecture must be {known}, not {brief(architecture)}; "
            "others are not mapped yet"
        )
    return family


def hf_family(path, config):
    """The :class:`~mapper.families.Family` of a `config.json`."""
    family, known = family_of("hf", config.get("model_type"))
    if family is None:
        check_known(path, config.get("model_type"))
        refuse(path, "model_type", known, config.get("model_type"))
    return family


def check_rest(f: Fields):
    """Refuse fields that nobody asked for and that may change what the model computes."""
    if f.is_gguf:
        rest = {
            key.removeprefix(f.prefix): value
            for key, value in f.values.items()
            if key.startswith(f.prefix)
        }
        known, neutral = KNOWN, GGUF_NEUTRAL
    else:
        rest, known, neutral = f.values, HF_KNOWN, HF_NEUTRAL
    for key, value in rest.items():
        if key in f.asked or key in known or not f.is_gguf and HF_NOTES.search(key):
            continue
        if key in neutral:
            values = neutral[key]
            if not isinstance(value, (str, int, float, type(None))) or value not in values:
                refuse(f.path, f.called(key), repr(values[0]), value)
        elif f.is_gguf or value not in (None, False, [], {}):
            what = "metadata " if f.is_gguf else "field "
            raise UserError(
                f"{f.path}: {what}{brief(f.called(key))} is not known, and may change what the "
                f"model computes; {not_yet(key)}"
            )
