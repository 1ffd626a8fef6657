"""Group scales and minima as small integers, so that sums over groups stay exact.

A file gives a weight as d * q + m, with d and m floats per group. The machine takes it as
row_scale * integer (:mod:`rtl.spec.formats`): the codes q stay what they are, d and m become bytes
relative to one fp32 scale per row. What that costs is measured by :meth:`Quantized.error`. A matrix
with one scale per row has the machine's form already, and costs nothing.
"""

from dataclasses import dataclass, replace

import numpy as np

from rtl.spec.config import GROUP
from rtl.spec.formats import FORMATS, WeightFormat, grid

from .linear import LazyLinear, Linear
from .read.bounds import LEAST_ROW_SCALE


__all__ = ["Quantized", "error_of", "integer_groups"]


SHIFTS = range(8)  # what the field `centre` of a descriptor can say
STRETCHES = np.linspace(1.0, 1.08, 9, dtype=np.float32)  # row scales tried, times the least one
# Where scales are floats, too, such as E8M0 and E4M3: the largest becomes an integer of which many
# binary fractions are integers.
FLOATS = {WeightFormat.FP4, WeightFormat.FP4_16}
ROUND = np.array([240, 128], np.float32)
CHUNK = 1 << 18  # groups that are worked on at a time


@dataclass(frozen=True, kw_only=True, eq=False)
class Quantized:
    """A matrix in the machine's numbers, see :mod:`rtl.spec.formats`.

    Attributes
    ----------
    format : :class:`rtl.spec.isa.WeightFormat`
    codes : uint8 or int8 (rows, K)
        The file's codes; mirrored in groups whose d is negative.
    scale : of :attr:`~rtl.spec.formats.Format.scale_dtype` (rows, K / the format's group)
    centre : int8 (rows, K / GROUP)
        Zeros in formats that have none.
    row_scale : float32 (rows,)
        Zero, or from `LEAST_ROW_SCALE` up in magnitude.
    centre_shift : :class:`int`
    squared, power : float64 (rows,)
        Mean squared difference to the weights it was made of, and their mean square.
    """

    format: WeightFormat
    codes: np.ndarray
    scale: np.ndarray
    centre: np.ndarray
    row_scale: np.ndarray
    centre_shift: int
    squared: np.ndarray
    power: np.ndarray

    @property
    def error(self):
        """Root of the mean squared difference, relative to the weights, of all rows."""
        return self.error_of(slice(None))

    def error_of(self, rows):
        """The same of some rows."""
        return error_of(self.squared[rows], self.power[rows])


def error_of(squared, power):
    """Root of the mean of squared differences of rows, relative to the weights' squares."""
    power = power.mean()
    return float(np.sqrt(max(squared.mean(), 0) / power)) if power > 0 else 0.0


@dataclass(frozen=True, eq=False)
class Groups:
    """What the choice of scales needs to know of the groups: weight = a * grid + b.

    `grid` is the integer that a code stands for; `mean` and `square` are its mean and mean square
    in each group. All are float32 (rows, groups). Scales are from `low` to `high`.
    """

    a: np.ndarray
    b: np.ndarray | None
    mean: np.ndarray
    square: np.ndarray
    low: int
    high: int

    def slice(self, rows):
        """The groups of some rows."""
        b = None if self.b is None else self.b[rows]
        return replace(self, a=self.a[rows], b=b, mean=self.mean[rows], square=self.square[rows])


def survey(linear):
    """Mirror the groups whose d is negative, where scales have no sign. Returns codes and
    :class:`Groups`.
    """
    its = FORMATS[linear.format]
    flip = (linear.d < 0) & (not its.signed_scale)
    codes, a, b = linear.codes, np.where(flip, -linear.d, linear.d), None
    top = its.high
    if its.centred:
        b = linear.m + np.float32(top / 2) * linear.d  # the middle, from whichever end one counts
        a = a * np.float32(0.5)
    if flip.any():
        groups = codes.reshape(*flip.shape, its.group).copy()
        groups[flip] = its.mirrored(groups[flip])  # -128 has no mirror: readers refuse it
        codes = groups.reshape(codes.shape)
    # Tables of bytes and one reduction each: a whole model's codes pass through here.
    on_grid = np.zeros(256, np.int16)
    on_grid[its.every_code.view(np.uint8)] = its.grid(its.every_code)
    index = codes.view(np.uint8).reshape(-1, its.group)
    mean, square = (
        np.add.reduce(table[index], 1, dtype=table.dtype).reshape(flip.shape).astype(np.float32)
        / its.group
        for table in (on_grid, on_grid.astype(np.int32) ** 2)
    )
    low, high = (-128, 127) if its.signed_scale else (0, 255)
    return codes, Groups(a, b, mean, square, low, high)


def least_row_scale(groups, shift):
    """The least fp32 row scale with which scale and centre fit their bytes.

    Values far below `LEAST_ROW_SCALE` become zeros. Where scales have signs, it has the one that
    makes the largest of them -128.
    """
    if groups.low:
        extreme = np.take_along_axis(groups.a, np.abs(groups.a).argmax(1)[:, None], 1)[:, 0]
        least = np.abs(extreme) / np.float32(-groups.low)
        least = np.where(least > 0, np.maximum(least, LEAST_ROW_SCALE), np.float32(0))
        return np.copysign(least, -extreme)
    least = groups.a.max(1) / np.float32(groups.high)
    if groups.b is not None:
        least = np.maximum(least, np.abs(groups.b).max(1) / np.float32(127 << shift))
    return np.where(least > 0, np.maximum(least, LEAST_ROW_SCALE), np.float32(0))


def row_scales(groups, shift, fmt):
    """Row scales to try."""
    least = least_row_scale(groups, shift)
    tried = [least * stretch for stretch in STRETCHES]
    if fmt in FLOATS:
        tried += [np.maximum(groups.a.max(1) / most, least) for most in ROUND]
    return tried


def fit(groups, row_scale, shift):
    """The best scale and centre for a row scale.

    Returns them, None where there are no centres, and the mean squared error of each row, float64.
    """
    inverse = (1 / np.where(row_scale != 0, row_scale, 1))[:, None]
    a = groups.a * inverse
    scale = np.rint(a).clip(groups.low, groups.high)
    error = a - scale
    if groups.b is None:
        centre = None
        squared = error * error * groups.square
    else:
        b, step = groups.b * inverse, np.float32(1 << shift)
        # The codes' mean is rarely the middle of the grid: the centre takes back what the
        # rounding of the scale moved the group's mean by.
        centre = np.rint((b + error * groups.mean) / step).clip(-128, 127)
        offset = b - centre * step
        squared = error * (error * groups.square + 2 * offset * groups.mean) + offset * offset
    return scale, centre, squared.mean(1, dtype=np.float64) * row_scale.astype(np.float64) ** 2


def best_shift(groups):
    """The centre shift with the least squared error over the whole matrix."""
    if groups.b is None:
        return 0
    return min(SHIFTS, key=lambda s: fit(groups, least_row_scale(groups, s), s)[2].sum())


def by_row(linear: Linear | LazyLinear, shift: int) -> Quantized:
    """A matrix with a scale per row as it is: its groups' scales are 1."""
    groups, d, its = linear.depth // GROUP, linear.d[:, 0], FORMATS[linear.format]
    lost = (np.abs(d) < LEAST_ROW_SCALE) & (d != 0)
    codes = grid(linear.format, linear.codes)
    power = d.astype(np.float64) ** 2 * (codes * codes).mean(1)
    d = np.where(lost, np.float32(0), d)
    return Quantized(
        format=linear.format,
        codes=linear.codes,
        scale=np.ones((linear.rows, linear.depth // its.group), its.scale_dtype),
        centre=np.zeros((linear.rows, groups), np.int8),
        row_scale=d,
        centre_shift=shift,
        squared=np.where(lost, power, 0),
        power=power,
    )


def integer_groups(linear: Linear | LazyLinear, shift: int | None = None) -> Quantized:
    """Find scales, centres, row scales and a centre shift that stand for a matrix's d and m.

    A `shift` that is given is kept.
    """
    if linear.by_row:
        return by_row(linear, shift or 0)
    codes, groups = survey(linear)
    its, (rows, count) = FORMATS[linear.format], linear.d.shape
    step = max(1, CHUNK // count)
    spans = [slice(at, at + step) for at in range(0, rows, step)]
    # Every row of a large matrix says the same about the shift as a few hundred thousand groups.
    if shift is None:
        shift = best_shift(groups.slice(slice(None, None, -(-rows // step))))
    scale = np.zeros((rows, count), its.scale_dtype)
    centre = np.zeros((rows, linear.depth // GROUP), np.int8)
    row_scale, squared = np.zeros(rows, np.float32), np.full(rows, np.inf)
    for span in spans:
        part = groups.slice(span)
        for tried in row_scales(part, shift, linear.format):
            new_scale, new_centre, error = fit(part, tried, shift)
            better = error < squared[span]
            scale[span][better] = new_scale[better]
            if new_centre is not None:
                centre[span][better] = new_centre[better]
            row_scale[span][better], squared[span][better] = tried[better], error[better]
    power = groups.a.astype(np.float64) ** 2 * groups.square
    if groups.b is not None:
        b = groups.b.astype(np.float64)
        power += 2 * groups.a * b * groups.mean + b * b
    return Quantized(
        format=linear.format,
        codes=codes,
        scale=scale,
        centre=centre,
        row_scale=row_scale,
        centre_shift=shift,
        squared=squared,
        power=power.mean(1),
    )
