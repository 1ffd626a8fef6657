"""Matrices of any format in ``S8``, which every configuration takes."""

from dataclasses import replace

import numpy as np

from rtl.spec.config import GROUP
from rtl.spec.formats import grid
from rtl.spec.isa import WeightFormat

from .linear import LazyLinear, Linear, mapped, spans
from .rounding import round_s8


__all__ = ["as_s8"]


def as_s8(linear: Linear | LazyLinear, reason: str) -> Linear | LazyLinear:
    """A matrix in ``S8``, with scales of groups: its own weights where that can be, else rounded
    ones, for that `reason`."""
    if linear.format == WeightFormat.S8 and not linear.by_row:
        return linear
    if all(_exact(linear.take(rows)) is not None for rows in spans(linear)):
        return mapped(linear, _exact, WeightFormat.S8)

    def rounded(its):
        return replace(round_s8(its.name, its.source, its.float32()), reason=reason)

    return mapped(linear, rounded, WeightFormat.S8)


def _exact(linear):
    """The same weights in ``S8``, None where that cannot be."""
    if linear.d.shape[1] > linear.depth // GROUP:  # groups of 16
        if (linear.d[:, ::2] != linear.d[:, 1::2]).any():
            return None
        linear = replace(linear, d=linear.d[:, ::2])
    if linear.m is None:
        codes, d = grid(linear.format, linear.codes), linear.d
    else:  # an integer times half of d, if m is one, too: Q4_0's is -8 d
        d = linear.d * np.float32(0.5)
        with np.errstate(over="ignore", invalid="ignore"):  # tiny scales beside large minima
            offset = np.rint(linear.m / np.where(d == 0, 1, d))
            multiple = (offset * d == linear.m).all() and np.abs(offset).max() <= 127
        if not multiple:
            return None
        codes = 2 * linear.codes.reshape(*d.shape, -1) + offset[..., None].astype(np.int32)
    groups = linear.rows, linear.depth // GROUP
    exact = replace(
        linear,
        format=WeightFormat.S8,
        codes=codes.astype(np.int8).reshape(linear.codes.shape),
        d=np.ascontiguousarray(np.broadcast_to(d, groups)),
        m=None,
    )
    if np.abs(codes).max() > 127 or (exact.float32() != linear.float32()).any():
        return None
    return exact
