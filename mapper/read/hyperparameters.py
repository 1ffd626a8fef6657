"""Hyperparameters of all families, from the fields of a file."""

from dataclasses import fields
from typing import Any

import numpy as np

from sw_ref.rotary import frequencies

from ..hyperparameters import Hyperparameters, Rotary
from .fields import Fields
from .rotary import rotary


__all__ = ["LAYERS_MOST", "context_of", "differing", "hyperparameters"]


LAYERS_MOST = 1024
TINY = float(np.finfo(np.float32).tiny)


def context_of(f: Fields) -> int:
    """Positions that a model was trained for."""
    return f.integer("context_length", ("max_position_embeddings", "n_positions", "n_ctx"))


def hyperparameters(
    family, f: Fields, vocab: int, context: int | None = None, tensors=None
) -> Hyperparameters:
    """The :class:`~mapper.hyperparameters.Hyperparameters` of a file of a family.

    Parameters
    ----------
    family : :class:`~mapper.families.Family`
    f : :class:`~mapper.read.fields.Fields`
    vocab : :class:`int`
    context : :class:`int`
        Positions that are compiled, which some scalings of RoPE depend on; by default all.
    tensors : mapping
        See :func:`~mapper.read.rotary.rotary`.
    """
    hidden = f.integer("embedding_length", ("hidden_size", "n_embd"), high=1 << 20)
    heads = f.integer("attention.head_count", ("num_attention_heads", "n_head"), high=4096)
    head_dim = f.integer(
        "attention.key_length", "head_dim", high=4096, default=max(1, hidden // heads)
    )
    value_dim = f.integer("attention.value_length", None, high=4096, default=head_dim)
    if value_dim != head_dim:
        f.refuse("attention.value_length", f"attention.key_length's {head_dim}", value_dim)
    values: dict[str, Any] = dict(
        hidden=hidden,
        heads=heads,
        kv_heads=f.integer(
            "attention.head_count_kv", "num_key_value_heads", high=heads, default=heads
        ),
        head_dim=head_dim,
        ffn=f.integer(
            "feed_forward_length",
            ("intermediate_size", "n_inner"),
            high=1 << 20,
            default=4 * hidden,
        ),
        vocab=vocab,
        layers=f.integer("block_count", ("num_hidden_layers", "n_layer"), high=LAYERS_MOST),
        norm_eps=f.number(
            ("attention.layer_norm_rms_epsilon", "attention.layer_norm_epsilon"),
            ("rms_norm_eps", "layer_norm_eps", "layer_norm_epsilon", "norm_epsilon"),
            low=0.0,
            high=1.0,
        ),
    )
    if family.rotary:
        context = context_of(f) if context is None else context
        values["rope"] = rotary(f, head_dim, context, tensors, "full_attention")
    return Hyperparameters(**values | family.fields(f, values))


def differing(one: Hyperparameters, other: Hyperparameters) -> str | None:
    """The name of the first hyperparameter in which two differ, None if there is none. Numbers are
    compared in float32, tables of angles by their frequencies."""
    for field in fields(one):
        ours, theirs = (getattr(each, field.name) for each in (one, other))
        if ours != theirs and not _alike(ours, theirs):
            return field.name
    return None


def _alike(one, other):
    if isinstance(one, float) and isinstance(other, float):
        return np.float32(one) == np.float32(other)
    if isinstance(one, Rotary) and isinstance(other, Rotary):
        ours, theirs = (
            frequencies(its.dim, float(np.float32(its.theta)), its.scaling) * its.scaling.attention
            for its in (one, other)
        )
        return one.dim == other.dim and np.array_equal(ours, theirs)
    return False
