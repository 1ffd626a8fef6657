"""The scaling of a rotary embedding, as a GGUF file says it, and llama.cpp understands it."""

from dataclasses import replace

from .fields import divisors, mscale, number, number_or_zero
from .scaling import RopeScaling


__all__ = ["GGUF_FIELDS", "from_gguf"]


# Keys, without the architecture in front, that change the table; and one that does not.
GGUF_FIELDS = frozenset(
    {
        "rope.freq_base",
        "rope.scale_linear",
        "rope.scaling.type",
        "rope.scaling.factor",
        "rope.scaling.original_context_length",
        "rope.scaling.attn_factor",
        "rope.scaling.yarn_log_multiplier",
        "rope.scaling.yarn_ext_factor",
        "rope.scaling.yarn_attn_factor",
        "rope.scaling.yarn_beta_fast",
        "rope.scaling.yarn_beta_slow",
        "rope.scaling.finetuned",
    }
)


def _factor(fields):
    """How far the context is stretched: 1 where nothing is said, or 0."""
    for key in "rope.scaling.factor", "rope.scale_linear":
        if fields.get(key) is not None:
            return number_or_zero(fields, key) or 1.0
    return 1.0


def _yarn(fields, factor):
    """What a `yarn` has besides factor and context."""
    name = "rope.scaling.yarn_{}".format
    for key in name("ext_factor"), name("attn_factor"):
        if number(fields, key, 1.0) != 1.0:
            raise ValueError(f"{key!r} must be 1.0, not {fields[key]!r:.60}")
    slow = number(fields, name("beta_slow"), 1.0)
    weight = number_or_zero(fields, name("log_multiplier"))
    return {
        "beta_slow": slow,
        "beta_fast": number(fields, name("beta_fast"), 32.0, slow),
        "attention": mscale(factor) / (mscale(factor, weight) if weight else 1.0),
    }


def from_gguf(fields, dim, context, *, freqs=None, long=None, short=None):
    """(theta, :class:`RopeScaling`) of a GGUF's metadata.

    Parameters
    ----------
    fields : mapping
        Metadata by key, without the architecture in front: ``rope.scaling.type``. With
        ``context_length``.
    dim : :class:`int`
        Numbers of a head that are rotated.
    context : :class:`int`
        Positions that are compiled: beyond the original ones, `long` counts, else `short`.
    freqs, long, short : float32 (dim / 2,)
        The tensors ``rope_freqs.weight``, ``rope_factors_long.weight`` and
        ``rope_factors_short.weight``, where the file has them. They divide the frequencies.

    Raises :exc:`ValueError` for a type or a key that is not known, and a value out of range.
    """
    for key in fields:
        if key.startswith(("rope.scal", "rope.freq")) and key not in GGUF_FIELDS:
            raise ValueError(f"{key!r} is not known, and may change what the model computes")
    theta = number(fields, "rope.freq_base", 10000.0, least=1.0)
    # llama.cpp takes a factor without a type as linear scaling.
    kind = fields.get("rope.scaling.type", "linear")
    if kind not in ("none", "linear", "yarn", "longrope"):
        raise ValueError(
            f"'rope.scaling.type' must be none, linear, yarn or longrope, not {kind!r:.60}"
        )
    factor = 1.0 if kind == "none" else _factor(fields)
    attention = number(fields, "rope.scaling.attn_factor", 1.0)
    if (long is None) != (short is None) or freqs is not None and long is not None:
        raise ValueError(
            "RoPE factors must be long and short ones, or those of 'rope_freqs.weight'"
        )
    if long is None and kind == "longrope":
        raise ValueError("'rope.scaling.type' must not be longrope without tensors of RoPE factors")
    trained = "context_length"
    if fields.get("rope.scaling.original_context_length"):
        trained = "rope.scaling.original_context_length"
    original = int(number(fields, trained, least=1.0))
    scaling = RopeScaling(factor=factor, original=original, context=context, attention=attention)
    if freqs is not None:
        scaling = replace(scaling, factors=divisors(freqs, "rope_freqs.weight", dim))
    if long is not None:
        name = "long" if context > original else "short"
        factors = divisors(long if name == "long" else short, f"rope_factors_{name}.weight", dim)
        if kind == "yarn" or factor != 1.0:
            raise ValueError(
                f"'rope.scaling.factor' must be 1.0 beside RoPE factors, not {factor:g} of {kind}"
            )
        return theta, replace(scaling, kind="longrope", factors=factors)
    if kind == "yarn":
        extra = _yarn(fields, factor)
        return theta, replace(
            scaling, kind="yarn", **extra | {"attention": attention * extra["attention"]}
        )
    return theta, scaling if factor == 1.0 else replace(scaling, kind="linear")
