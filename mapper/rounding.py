"""Round weights to a format that groups have scales in, whichever it is."""

import numpy as np

from rtl.spec.formats import FORMATS
from rtl.spec.isa import WeightFormat

from .linear import LazyLinear, Linear, mapped
from .model import REFITS, round_s8, round_u, rounding


__all__ = ["round_to", "round_weights"]


def round_to(linear: Linear | LazyLinear, fmt: WeightFormat) -> Linear | LazyLinear:
    """A matrix in a format with scales of groups: itself if it has it, else rounded."""
    if linear.format == fmt and not linear.by_row:
        return linear

    def round_rows(its):
        return round_weights(its.name, its.source, its.float32(), fmt)

    return mapped(linear, round_rows, fmt)


def round_weights(name: str, source: str, weights: np.ndarray, fmt: WeightFormat) -> Linear:
    """Round float32 (rows, K) to a format with scales of groups."""
    if fmt == WeightFormat.S8:
        return round_s8(name, source, weights)
    if FORMATS[fmt].centred:
        return round_u(name, source, weights, FORMATS[fmt].code_bits)
    return round_grid(name, source, weights, fmt)


def round_grid(name, source, weights, fmt):
    """Round float32 (rows, K) to a format without centres.

    The largest magnitude of a group becomes the largest integer of the grid, with its sign where
    scales have signs; then the scale is moved to where the squared error is least.
    """
    its = FORMATS[fmt]
    groups = weights.reshape(len(weights), -1, its.group)
    grid = its.grid(its.every_code)
    most = np.float32(grid[np.abs(grid).argmax()])
    extreme = np.take_along_axis(groups, np.abs(groups).argmax(-1)[..., None], -1)[..., 0]
    d = extreme / most if its.signed_scale else np.abs(extreme / most)
    codes, integers = nearest(its, groups, d)
    for _ in range(REFITS):
        product, square = (
            np.einsum("rgk,rgk->rg", x, integers, dtype=np.float64) for x in (groups, integers)
        )
        d = (product / np.where(square > 0, square, 1)).astype(np.float32)
        codes, integers = nearest(its, groups, d)
    off, squares = rounding(groups, integers, d)
    return Linear(
        name=name,
        source=source,
        format=fmt,
        codes=codes.reshape(weights.shape),
        d=d,
        rounding=off,
        squares=squares,
    )


def nearest(its, groups, d):
    """Codes of groups (rows, groups, K) whose steps are d, and their integers in float32."""
    codes = its.nearest(groups / np.where(d != 0, d, 1)[..., None])
    return codes, its.grid(codes).astype(np.float32)
