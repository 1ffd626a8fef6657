"""Round weights to codes of a format that groups have scales in, whichever it is."""

import numpy as np

from rtl.spec.config import GROUP
from rtl.spec.formats import FORMATS
from rtl.spec.isa import WeightFormat

from .linear import ODD, LazyLinear, Linear, mapped, relative


__all__ = ["round_s8", "round_to", "round_u", "round_weights"]


REFITS = 8  # of a group's scale to its few codes, after which hardly any code changes


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
    off, squares = rounding_of(groups, integers, d)
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


def round_s8(name, source, weights):
    """Round float32 (rows, K) to ``S8``: the largest magnitude of a group becomes 127."""
    groups = weights.reshape(weights.shape[0], -1, GROUP)
    d = np.abs(groups).max(-1) / np.float32(127)
    codes = np.rint(groups / np.where(d > 0, d, 1)[..., None]).clip(-127, 127)
    off, squares = rounding_of(groups, codes, d)
    return Linear(
        name=name,
        source=source,
        format=WeightFormat.S8,
        codes=codes.astype(np.int8).reshape(weights.shape),
        d=d,
        rounding=off,
        squares=squares,
    )


def round_u(name, source, weights, bits):
    """Round float32 (rows, K) to codes of `bits` bits, 1 to 4: evenly spaced values for each group.

    In 4 bits they reach from a group's minimum to its maximum. Fewer are too few for that: they are
    moved to where the squared error is least.
    """
    groups = weights.reshape(weights.shape[0], -1, GROUP)
    top = np.float32((1 << bits) - 1)
    m = groups.min(-1)
    d = groups.max(-1) / top - m / top
    codes = nearest_level(groups, d, m, top)
    for _ in range(REFITS if bits < 4 else 0):
        d, m = line(groups, codes)
        codes = nearest_level(groups, d, m, top)
    off, squares = rounding_of(groups, codes, d, m)
    return Linear(
        name=name,
        source=source,
        format=ODD[bits],
        codes=codes.astype(np.uint8).reshape(weights.shape),
        d=d,
        m=m,
        rounding=off,
        squares=squares,
    )


def rounding_of(groups, codes, d, m=None):
    """Root mean square of what rounding groups of weights to d * code + m changes, relative to
    theirs; and the sum of their squares."""
    change = codes * d[..., None] - groups
    if m is not None:
        change += m[..., None]
    squares, lost = (
        float(np.einsum("rgk,rgk->", x, x, dtype=np.float64)) for x in (groups, change)
    )
    return relative(lost, squares), squares


def nearest_level(groups, d, m, top):
    """Codes from 0 to `top` that stand for the groups' values best."""
    return np.rint((groups - m[..., None]) / np.where(d > 0, d, 1)[..., None]).clip(0, top)


def line(groups, codes):
    """The d and m of each group with the least squared error, given its codes."""
    groups = groups.astype(np.float64)
    middle = codes.mean(-1, dtype=np.float64)
    apart = codes - middle[..., None]
    spread = (apart * apart).mean(-1)
    d = (apart * groups).mean(-1) / np.where(spread > 0, spread, 1)
    return d.astype(np.float32), (groups.mean(-1) - d * middle).astype(np.float32)
