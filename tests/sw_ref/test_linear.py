"""Products from the packed stream have the bits of the numpy function that defines them."""

import numpy as np
import pytest

from rtl.config import GROUP
from rtl.formats import WeightFormat, integers, pack
from sw_ref import linear as module, numerics
from sw_ref.linear import linear


def matrix(rng, fmt, rows, groups):
    """Random codes and scales, with the largest there are in the first row."""
    low, high = (0, 16) if fmt == WeightFormat.U4 else (-128, 128)
    codes = rng.integers(low, high, (rows, groups * GROUP)).astype(np.int8 if low else np.uint8)
    scale = rng.integers(0, 256, (rows, groups)).astype(np.uint8)
    centre = rng.integers(-128, 128, (rows, groups)).astype(np.int8)
    codes[0], scale[0], centre[0] = low, 255, -128
    if fmt == WeightFormat.S8:
        centre[:] = 0
    return codes, scale, centre


def check(fmt, beat_bytes, rows, groups, columns, spread, seed=0, centre_shift=7):
    rng = np.random.default_rng(seed)
    codes, scale, centre = matrix(rng, fmt, rows, groups)
    row_scale = rng.normal(size=rows).astype(np.float32)
    row_scale[:4] = [1e-40, -0.0, 3e38, -2.0**-126][:rows]
    stream = np.frombuffer(pack(fmt, codes, scale, centre, row_scale, beat_bytes), np.uint8)
    q = rng.integers(-127, 128, (columns, groups, GROUP)).astype(np.int16)
    q[0] = -127
    exponents = rng.integers(130 - spread, 131, (columns, groups)).astype(np.uint8)
    stride = rows + 5
    out = np.full(columns * stride, 7, np.float32)
    linear(stream, fmt, rows, beat_bytes, centre_shift, q, exponents, out, stride)
    with np.errstate(over="ignore"):
        expected = numerics.linear(integers(fmt, codes, scale, centre, centre_shift), row_scale,
                                   q.reshape(columns, -1), exponents)
    out = out.reshape(columns, stride)
    np.testing.assert_array_equal(out[:, :rows].view(np.uint32), expected.view(np.uint32))
    assert (out[:, rows:] == 7).all()


@pytest.mark.parametrize("fmt", [WeightFormat.U4, WeightFormat.S8], ids=lambda f: f.name)
@pytest.mark.parametrize("beat_bytes", [16, 32, 64])
@pytest.mark.parametrize("groups", [1, 2, 3, 7, 8, 9, 16, 17, 32])
def test_shapes(fmt, beat_bytes, groups):
    """Groups about the runs between scales; rows about the blocks; dropped groups."""
    for rows in (4, beat_bytes // 4 - 1, beat_bytes // 4, 3 * beat_bytes // 4 + 1):
        for columns, spread in (1, 0), (1, 17), (3, 40):
            check(fmt, beat_bytes, max(rows, 4), groups, columns, spread, seed=rows)


@pytest.mark.parametrize("fmt", [WeightFormat.U4, WeightFormat.S8], ids=lambda f: f.name)
def test_largest(fmt):
    check(fmt, 16, 5, 512, 2, 0)
    check(fmt, 64, 17, 512, 16, 3, centre_shift=0)


@pytest.mark.parametrize("cores", [2, 3, 8])
def test_shares(monkeypatch, cores):
    """Any number of threads, also more than blocks."""
    monkeypatch.setattr(module, "CORES", cores)
    monkeypatch.setattr(module, "SHARE", 100)
    for rows in (4, 16, 17, 50):
        check(WeightFormat.U4, 64, rows, 3, 2, 5)


def test_exponents_out_of_range():
    """Results below and above fp32's range."""
    for exponent in (0, 255):
        codes, scale, centre = matrix(np.random.default_rng(1), WeightFormat.S8, 8, 2)
        row_scale = np.float32([1e-30, 1, -1e30, 1e38, -1e-38, 0, 1e-20, 2])
        stream = np.frombuffer(pack(WeightFormat.S8, codes, scale, centre, row_scale, 16), np.uint8)
        q, exponents = np.full((1, 2, GROUP), 127, np.int16), np.full((1, 2), exponent, np.uint8)
        out = np.zeros(8, np.float32)
        linear(stream, WeightFormat.S8, 8, 16, 0, q, exponents, out, 8)
        with np.errstate(over="ignore"):
            expected = numerics.linear(integers(WeightFormat.S8, codes, scale, centre, 0), row_scale,
                                       q.reshape(1, -1), exponents)
        np.testing.assert_array_equal(out.view(np.uint32), expected[0].view(np.uint32))
