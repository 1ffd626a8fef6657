"""numpy and PyTorch make the same integers and numbers of matrices."""

import numpy as np
import pytest
import torch

from rtl.spec.formats import FORMATS, grid, integers
from rtl.spec.isa import WeightFormat
from sw_ref import numerics
from sw_ref.pytorch import linear as torch_linear

from .test_ops import same, wild


@pytest.mark.parametrize("fmt", WeightFormat)
def test_linear(fmt):
    rng = np.random.default_rng(6)
    rows, depth = 40, 256
    codes = rng.choice(FORMATS[fmt].every_code, (rows, depth))
    its = FORMATS[fmt]
    scale = rng.integers(0, 256, (rows, depth // its.group)).astype(np.uint8).view(its.scale_dtype)
    centre = rng.integers(-128, 128, (rows, depth // 32)).astype(np.int8)
    weight = integers(fmt, codes, scale, centre, 3)
    ours = (torch.tensor(x).long() for x in (codes, scale, centre))
    np.testing.assert_array_equal(torch_linear.weights(fmt, *ours, 3), weight)
    row_scale = rng.normal(0, 1e-3, rows).astype(np.float32)
    row_scale[::3] = wild(rng, len(row_scale[::3]))
    x = rng.normal(size=(4, depth)) * np.exp2(rng.integers(-12, 12, (4, depth // 32))).repeat(32, 1)
    x = x.astype(np.float32)
    same(
        numerics.linear(weight, row_scale, *numerics.quantize(x)),
        torch_linear.linear(torch.tensor(weight), torch.tensor(row_scale), torch.tensor(x)),
    )


@pytest.mark.parametrize("fmt", [fmt for fmt, its in FORMATS.items() if its.scaled])
def test_group_sums(fmt):
    """Those of the groups add up to the exact sums, in both."""
    rng, rows, groups, its = np.random.default_rng(7), 9, 5, FORMATS[fmt]
    codes = rng.choice(its.every_code, (rows, groups * 32))
    scale = rng.integers(0, 256, (rows, groups * 32 // its.group)).astype(np.uint8)
    scale = scale.view(its.scale_dtype).astype(int)
    centre = rng.integers(-128, 128, (rows, groups))
    if not its.centred:
        centre[:] = 0
    q, exponents = rng.integers(-128, 128, (3, groups * 32)), rng.integers(100, 130, (3, groups))
    weight = integers(fmt, codes, scale, centre, 3, np.int64)
    totals, terms = np.zeros((3, rows), np.int64), torch.zeros(3, rows, dtype=torch.int64)
    for n in range(scale.shape[1]):  # groups, or halves of them
        part = slice(its.group * n, its.group * (n + 1))
        g = part.start // 32
        group = (
            q[:, part] @ grid(fmt, codes[:, part]).T,
            q[:, part].sum(-1),
            scale[:, n],
            centre[:, g] << 3,
            numerics.group_shift(exponents)[:, g],
        )
        totals += numerics.group_sums(*group)
        terms += torch_linear.group_sums(*map(torch.tensor, group))
    expected = numerics.exact_sums(weight.astype(np.float64), q, exponents)
    assert (numerics.group_shift(exponents) < 0).any()
    np.testing.assert_array_equal(totals, expected)
    np.testing.assert_array_equal(terms, expected)
