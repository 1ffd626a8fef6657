"""The table of rotary angles that the fields of a file describe."""

from host.errors import UserError
from sw_ref.rotary import GGUF_FIELDS, from_gguf, from_hf

from ..hyperparameters import Rotary
from .fields import Fields


__all__ = ["FACTORS", "rotary"]


# Tensors of a GGUF file that divide the frequencies, and what `from_gguf` calls them.
FACTORS = {
    "rope_freqs.weight": "freqs",
    "rope_factors_long.weight": "long",
    "rope_factors_short.weight": "short",
}
# Fields of a `config.json` that describe it.
HF_FIELDS = (
    "rope_theta",
    "rope_scaling",
    "rope_parameters",
    "rope_local_base_freq",
    "original_max_position_embeddings",
    "max_position_embeddings",
)


def rotary(f: Fields, head_dim: int, context: int, tensors=None, layer_type=None) -> Rotary:
    """The :class:`~mapper.hyperparameters.Rotary` of a file.

    Parameters
    ----------
    f : :class:`~mapper.read.fields.Fields`
    head_dim : :class:`int`
    context : :class:`int`
        Positions that are compiled.
    tensors : mapping of :class:`str` to float32 arrays
        Those of :data:`FACTORS` that a GGUF file has.
    layer_type : :class:`str`
        Hugging Face's name for a kind of layer that may have a table of its own.
    """
    dim = rotated(f, head_dim, layer_type)
    if f.is_gguf:
        f.asked |= GGUF_FIELDS
        keys = (*GGUF_FIELDS, "context_length")
        values = {k: f.values[f.called(k)] for k in keys if f.called(k) in f.values}
        factors = {FACTORS[name]: its for name, its in (tensors or {}).items()}
    else:
        f.asked |= {*HF_FIELDS, "rotary_emb_base"}
        values = {k: f.values[k] for k in HF_FIELDS if k in f.values}
        values.setdefault("rope_theta", f.values.get("rotary_emb_base"))
    try:
        if f.is_gguf:
            theta, scaling = from_gguf(values, dim, context, **factors)
        else:
            theta, scaling = from_hf(values, dim, context, layer_type)
    except ValueError as error:
        raise UserError(f"{f.path}: {error}; this model cannot be mapped") from None
    return Rotary(theta=theta, dim=dim, scaling=scaling)


def rotated(f: Fields, head_dim: int, layer_type=None) -> int:
    """Elements of a head that are rotated, in layers of a kind."""
    if f.is_gguf:
        key = "rope.dimension_count"
        dim = said = f.integer(key, None, high=head_dim, default=head_dim)
    else:
        ropes = [f.values.get(name) for name in ("rope_parameters", "rope_scaling")]
        ropes = [rope for rope in ropes if isinstance(rope, dict)]
        ropes += [its for rope in ropes if isinstance(its := rope.get(layer_type), dict)]
        found = [its for rope in ropes if (its := rope.get("partial_rotary_factor")) is not None]
        key, said = f.get(None, ("rotary_pct", "partial_rotary_factor"), *found[:1] or [1.0])
        key = key if key in f.values else "partial_rotary_factor"  # as RoPE parameters call it
        if found and said != found[0]:
            f.refuse(key, f"RoPE parameters' {found[0]!r}", said)
        if isinstance(said, bool) or not isinstance(said, (int, float)) or not 0 < said <= 1:
            f.refuse(key, "a number above 0, and at most 1", said)
        dim = int(head_dim * said)
    if not dim or dim % 2 or head_dim % 2:
        f.refuse(key, f"an even number of a head's {head_dim} elements", said)
    return dim
