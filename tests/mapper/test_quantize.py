import numpy as np
import pytest

from mapper.model import Linear, half_split, round_s8, round_u4
from mapper.quantize import integer_groups
from rtl.formats import integers, pack, unpack
from rtl.isa import WeightFormat


def random_linear(fmt, seed, rows=40, groups=5, m_spread=1.0, d_sign=1):
    rng = np.random.default_rng(seed)
    shape = rows, groups
    d = np.abs(rng.normal(0.01, 0.004, shape)).astype(np.float16).astype(np.float32)
    if d_sign == 0:
        d *= rng.choice([-1, 1], shape)
    if fmt == WeightFormat.U4:
        codes = rng.integers(0, 16, (rows, groups * 32), np.uint8)
        m = (-7.5 * d + m_spread * rng.normal(0, 0.02, shape)).astype(np.float32)
        return Linear(name="w", source="Q4_1", format=fmt, codes=codes, d=d, m=m)
    codes = rng.integers(-127, 128, (rows, groups * 32), np.int8)
    return Linear(name="w", source="Q8_0", format=fmt, codes=codes, d=d)


def exact(q):
    whole = integers(q.format, q.codes, q.scale, q.centre, q.centre_shift)
    assert np.abs(whole).max() < 2**15
    return whole * q.row_scale[:, None].astype(np.float64)


def relative(a, b):
    return np.sqrt(((a - b) ** 2).mean() / (b ** 2).mean())


@pytest.mark.parametrize("fmt", WeightFormat)
@pytest.mark.parametrize("d_sign", [1, 0])
@pytest.mark.parametrize("m_spread", [0.0, 1.0, 50.0])
def test_close_and_honest(fmt, d_sign, m_spread):
    linear = random_linear(fmt, 3, m_spread=m_spread, d_sign=d_sign)
    q, weights = integer_groups(linear), linear.float32().astype(np.float64)
    assert q.error < 0.005
    assert relative(exact(q), weights) == pytest.approx(q.error, rel=1e-2)


@pytest.mark.parametrize("fmt", WeightFormat)
def test_codes_are_kept(fmt):
    linear = random_linear(fmt, 4)
    np.testing.assert_array_equal(integer_groups(linear).codes, linear.codes)


def test_negative_scales_mirror_the_codes():
    linear = random_linear(WeightFormat.U4, 5, d_sign=0)
    q = integer_groups(linear)
    mirrored = np.repeat(linear.d < 0, 32, 1)
    np.testing.assert_array_equal(q.codes, np.where(mirrored, 15 - linear.codes, linear.codes))


def test_no_better_by_another_shift():
    """The chosen centre shift beats what any other gives at the least row scale."""
    from mapper.quantize import SHIFTS, fit, least_row_scale, survey
    for spread in (0.1, 1.0, 20.0):
        linear = random_linear(WeightFormat.U4, 6, m_spread=spread)
        q, (_, groups) = integer_groups(linear), survey(linear)
        mean_square = (linear.float32().astype(np.float64) ** 2).mean()
        for shift in SHIFTS:
            other = fit(groups, least_row_scale(groups, shift), shift)[2].mean()
            assert q.error <= np.sqrt(other / mean_square) * 1.001


@pytest.mark.parametrize("fmt", WeightFormat)
def test_edges(fmt):
    """Zeros, one outlier, and values near both ends of fp32."""
    linear = random_linear(fmt, 7, rows=8)
    for factor in (0.0, 1e-30, 1e30):
        d = (linear.d * np.float32(factor)).astype(np.float32)
        m = None if linear.m is None else (linear.m * np.float32(factor)).astype(np.float32)
        with np.errstate(all="raise", under="ignore"):
            q = integer_groups(Linear(name="w", source="", format=fmt, codes=linear.codes, d=d, m=m))
        assert np.isfinite(q.row_scale).all() and np.isfinite(q.error)
        if factor == 0:
            assert not exact(q).any() and q.error == 0


@pytest.mark.parametrize("fmt", WeightFormat)
def test_survives_packing(fmt):
    q = integer_groups(random_linear(fmt, 8))
    packed = pack(q.format, q.codes, q.scale, q.centre, q.row_scale, 16)
    for ours, theirs in zip(unpack(fmt, packed, 40, 5, 16),
                            (q.codes, q.scale, q.centre, q.row_scale)):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("rounding, limit", [(round_s8, 0.006), (round_u4, 0.09)])
def test_rounding_floats(rounding, limit):
    weights = np.random.default_rng(9).normal(0, 0.1, (32, 128)).astype(np.float32)
    weights[0] = 0
    weights[1, :32] = 0.25
    linear = rounding("w", "F32", weights)
    assert relative(linear.float32(), weights) < limit
    assert not linear.float32()[0].any()
    np.testing.assert_allclose(linear.float32()[1, :32], 0.25, rtol=1e-6)


def test_half_split():
    assert half_split(1, 4).tolist() == [0, 2, 1, 3]
    assert half_split(2, 4).tolist() == [0, 2, 1, 3, 4, 6, 5, 7]
