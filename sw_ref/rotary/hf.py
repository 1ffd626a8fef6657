"""The scaling of a rotary embedding, as a Hugging Face `config.json` says it."""

import math
from collections.abc import Mapping
from dataclasses import replace

from .fields import divisors, mscale, number, number_or_zero
from .scaling import KINDS, RopeScaling


__all__ = ["from_hf"]


# Keys of Hugging Face's parameters: those of all kinds, and those of each.
_COMMON = {"rope_type", "type", "rope_theta", "partial_rotary_factor"}
_ORIGINAL = "original_max_position_embeddings"
_HF_KEYS = {
    "default": set(),
    "linear": {"factor"},
    "dynamic": {"factor"},
    "llama3": {"factor", _ORIGINAL, "low_freq_factor", "high_freq_factor"},
    "yarn": {
        *("factor", _ORIGINAL, "attention_factor", "beta_fast", "beta_slow"),
        *("mscale", "mscale_all_dim", "truncate"),
    },
    "longrope": {"factor", _ORIGINAL, "attention_factor", "short_factor", "long_factor"},
}


def _merged(found):
    """One object of those of several names."""
    rope = {}
    for more in found:
        if not isinstance(more, Mapping):
            raise ValueError(f"RoPE parameters must be a JSON object, not {more!r:.60}")
        for key, value in more.items():
            if key in rope and rope[key] != value:
                raise ValueError(
                    f"{key!r} must be one thing, not {rope[key]!r:.60} and {value!r:.60}"
                )
            rope[key] = value
    return rope


def _parameters(config, layer_type):
    """The parameters of a kind of layer, with theta among them."""
    names = "rope_parameters", "rope_scaling"  # the newer and the older name of one thing
    rope = _merged([config[name] for name in names if config.get(name) is not None])
    if any(isinstance(value, Mapping) for value in rope.values()):
        if not isinstance(rope.get(layer_type), Mapping):
            raise ValueError(f"RoPE parameters must have those of {layer_type!r} layers")
        for key, value in rope.items():
            if value is not None and not isinstance(value, Mapping):
                raise ValueError(f"RoPE parameters must be all of kinds of layers, not {key!r}")
        rope = rope[layer_type]
    elif layer_type == "sliding_attention" and config.get("rope_local_base_freq") is not None:
        return {"rope_theta": config["rope_local_base_freq"]}  # Gemma 3, as it was first written
    elif config.get("rope_theta") is not None:
        rope = _merged([rope, {"rope_theta": config["rope_theta"]}])
    return {key: value for key, value in rope.items() if value is not None}


def _kind(rope):
    """The kind of scaling, and that no key is of another."""
    kind, *others = [rope[key] for key in ("rope_type", "type") if key in rope] or ["default"]
    if others and others != [kind]:
        raise ValueError(
            f"'rope_type' and 'type' must be one, not {kind!r:.60} and {others[0]!r:.60}"
        )
    if kind == "su" or kind == "yarn" and "long_factor" in rope:
        kind = "longrope"  # Phi-3, as it was first written
    if kind not in KINDS:
        raise ValueError(f"'rope_type' must be one of {', '.join(KINDS)}, not {kind!r:.60}")
    for key in rope:
        if key not in _COMMON | _HF_KEYS[kind]:
            raise ValueError(f"RoPE parameters of type {kind!r} must be without {key!r}")
    return kind


def from_hf(config, dim, context, layer_type=None):
    """(theta, :class:`RopeScaling`) of a `config.json`.

    Parameters
    ----------
    config : mapping
        With `rope_parameters`, or `rope_scaling` and `rope_theta`, as older versions wrote it.
    dim : :class:`int`
        Numbers of a head that are rotated; a `partial_rotary_factor` is the caller's.
    context : :class:`int`
        Positions that are compiled: they choose the factors of ``longrope``, and the base of
        ``dynamic``.
    layer_type : :class:`str`
        ``full_attention`` or ``sliding_attention``, where these have parameters of their own.

    Raises :exc:`ValueError` for a kind or a key that is not known, and a value out of range.
    """
    rope = _parameters(config, layer_type)
    kind, theta = _kind(rope), number(rope, "rope_theta", 10000.0, least=1.0)
    scaling = RopeScaling(kind, context=context)
    if kind == "default":
        return theta, scaling
    trained = config.get("max_position_embeddings")
    original = rope.get(_ORIGINAL) if config.get(_ORIGINAL) is None else config[_ORIGINAL]
    if kind == "dynamic" or original is None:
        original = trained
    original = int(number({_ORIGINAL: original}, _ORIGINAL, least=1.0)) if kind != "linear" else 0
    if rope.get("factor") is None and kind in ("yarn", "longrope"):
        factor = number({"max_position_embeddings": trained}, "max_position_embeddings") / original
    else:
        factor = number(rope, "factor")
    scaling = replace(scaling, factor=factor, original=original)
    if kind == "llama3":
        return theta, replace(scaling, **_llama3_fields(rope))
    if kind == "yarn":
        return theta, replace(scaling, **_yarn_fields(rope, factor))
    if kind == "longrope":
        key = "long_factor" if context > original else "short_factor"
        longer = math.sqrt(1 + math.log(factor) / math.log(original)) if factor > 1 else 1.0
        return theta, replace(
            scaling,
            factors=divisors(rope.get(key), key, dim),
            attention=number(rope, "attention_factor", longer),
        )
    return theta, scaling


def _llama3_fields(rope):
    low = number(rope, "low_freq_factor")
    return {
        "low_freq_factor": low,
        "high_freq_factor": number(rope, "high_freq_factor", least=low),
    }


def _yarn_fields(rope, factor):
    weight, all_dim = (number_or_zero(rope, key) for key in ("mscale", "mscale_all_dim"))
    ratio = mscale(factor, weight) / mscale(factor, all_dim) if weight and all_dim else None
    truncate = rope.get("truncate", True)
    if not isinstance(truncate, bool):
        raise ValueError(f"'truncate' must be true or false, not {truncate!r:.60}")
    slow = number(rope, "beta_slow", 1.0)
    return {
        "beta_slow": slow,
        "beta_fast": number(rope, "beta_fast", 32.0, slow),
        "truncate": truncate,
        "attention": number(rope, "attention_factor", ratio or mscale(factor)),
    }
