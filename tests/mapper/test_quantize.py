import numpy as np
import pytest

from mapper.model import ODD, RANGES, Linear
from mapper.quantize import integer_groups
from mapper.read.bounds import LARGEST, LEAST_ROW_SCALE
from mapper.read.row_order import half_split
from mapper.rounding import round_s8, round_u
from rtl.spec.formats import FORMATS, integers, pack, unpack
from rtl.spec.isa import WeightFormat
from rtl.spec.numbers import GROUP


# Formats whose groups have scales of their own.
GROUPED = [fmt for fmt, its in FORMATS.items() if its.scaled]


def random_linear(fmt, seed, rows=40, groups=5, m_spread=1.0, d_sign=1):
    rng = np.random.default_rng(seed)
    shape = rows, groups * GROUP // FORMATS[fmt].group
    d = np.abs(rng.normal(0.01, 0.004, shape)).astype(np.float16).astype(np.float32)
    if d_sign == 0:
        d *= rng.choice([-1, 1], shape)
    if fmt in ODD.values():
        top = RANGES[fmt][1]
        codes = rng.integers(0, top, (rows, groups * 32), np.uint8, endpoint=True)
        m = (-top / 2 * d + m_spread * rng.normal(0, 0.02, shape)).astype(np.float32)
        return Linear(name="w", source="Q4_1", format=fmt, codes=codes, d=d, m=m)
    every = FORMATS[fmt].every_code[fmt == WeightFormat.S8 :]  # -128 has no mirror
    return Linear(
        name="w", source="Q8_0", format=fmt, codes=rng.choice(every, (rows, groups * 32)), d=d
    )


def exact(q):
    whole = integers(q.format, q.codes, q.scale, q.centre, q.centre_shift)
    assert np.abs(whole).max() < 2**15
    return whole * q.row_scale[:, None].astype(np.float64)


def relative(a, b):
    return np.sqrt(((a - b) ** 2).mean() / (b**2).mean())


@pytest.mark.parametrize("fmt", GROUPED, ids=lambda f: f.name)
@pytest.mark.parametrize("d_sign", [1, 0])
@pytest.mark.parametrize("m_spread", [0.0, 1.0, 50.0])
def test_close_and_honest(fmt, d_sign, m_spread):
    linear = random_linear(fmt, 3, m_spread=m_spread, d_sign=d_sign)
    q, weights = integer_groups(linear), linear.float32().astype(np.float64)
    assert q.error < 0.005
    assert relative(exact(q), weights) == pytest.approx(q.error, rel=1e-2)


@pytest.mark.parametrize("fmt", GROUPED, ids=lambda f: f.name)
def test_codes_are_kept(fmt):
    linear = random_linear(fmt, 4)
    np.testing.assert_array_equal(integer_groups(linear).codes, linear.codes)


@pytest.mark.parametrize("fmt", ODD.values(), ids=lambda f: f.name)
def test_negative_scales_mirror_the_codes(fmt):
    linear = random_linear(fmt, 5, d_sign=0)
    q = integer_groups(linear)
    mirrored = np.repeat(linear.d < 0, 32, 1)
    np.testing.assert_array_equal(
        q.codes, np.where(mirrored, RANGES[fmt][1] - linear.codes, linear.codes)
    )


@pytest.mark.parametrize("groups", [1, 3])
@pytest.mark.parametrize("fmt", WeightFormat, ids=lambda f: f.name)
def test_scales_of_rows_are_kept(fmt, groups):
    """Negative ones, zeros, and the least and the largest that there may be: nothing is lost."""
    rng, (low, high) = np.random.default_rng(11), RANGES[fmt]
    codes = rng.integers(low, high, (40, groups * 32), endpoint=True).astype(
        np.uint8 if low == 0 else np.int8
    )
    d = rng.normal(0, 0.01, (40, 1)).astype(np.float32)
    d[:4, 0] = 0, -0.0, LEAST_ROW_SCALE, 3e38 / 128
    linear = Linear(name="w", source="", format=fmt, codes=codes, d=d)
    for shift in None, 5:
        q = integer_groups(linear, shift)
        assert q.error == 0 and q.centre_shift == (shift or 0)
        np.testing.assert_array_equal(q.row_scale, d[:, 0])
        np.testing.assert_array_equal(exact(q).astype(np.float32), linear.float32())


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


@pytest.mark.parametrize("fmt", GROUPED, ids=lambda f: f.name)
def test_edges(fmt):
    """Zeros, one outlier, and values near both ends of fp32."""
    linear = random_linear(fmt, 7, rows=8)
    for factor in (0.0, 1e-30, 1e30):
        d = (linear.d * np.float32(factor)).astype(np.float32)
        m = None if linear.m is None else (linear.m * np.float32(factor)).astype(np.float32)
        with np.errstate(all="raise", under="ignore"):
            q = integer_groups(
                Linear(name="w", source="", format=fmt, codes=linear.codes, d=d, m=m)
            )
        assert np.isfinite(q.row_scale).all() and np.isfinite(q.error)
        if factor == 0:
            assert not exact(q).any() and q.error == 0


MAGNITUDES = [0.0, 3e-45, 1e-42, 1e-40, 1e-38, 1e-37, 1e-36, 1e-34, 1e-30, 1.0, 3e38]


@pytest.mark.parametrize(
    "fmt, by_row", [*((f, False) for f in GROUPED), *((f, True) for f in WeightFormat)]
)
def test_every_magnitude(fmt, by_row, monkeypatch):
    """Rows from nothing to the end of fp32, in one matrix: each is met, or small enough to be
    zeros, and no memory is left as it was."""
    rng, (low, high) = np.random.default_rng(14), RANGES[fmt]
    codes = rng.integers(low, high, (len(MAGNITUDES), 160), endpoint=True)
    codes = codes.astype(np.uint8 if low == 0 else np.int8)
    codes[:, 0] = high
    its = FORMATS[fmt]
    largest = max(high, -low) if its.centred else np.abs(its.grid(its.every_code)).max()
    size = np.array(MAGNITUDES)[:, None] / largest
    if by_row:
        linear = Linear(name="w", source="", format=fmt, codes=codes, d=size.astype(np.float32))
    else:
        d = (size * rng.uniform(0.5, 1, (len(size), 5 * GROUP // FORMATS[fmt].group))).astype(
            np.float32
        )
        m = (d * np.float32(-high / 2)).astype(np.float32) if its.centred else None
        linear = Linear(name="w", source="", format=fmt, codes=codes, d=d, m=m)
    monkeypatch.setattr(np, "empty", lambda shape, dtype=float: np.full(shape, 77, dtype))
    with np.errstate(all="raise", under="ignore"):
        q = integer_groups(linear)
    assert np.isfinite(q.row_scale).all() and np.isfinite(q.error)
    assert ((q.row_scale == 0) | (np.abs(q.row_scale) >= LEAST_ROW_SCALE)).all()
    whole, weights = exact(q), linear.float32().astype(np.float64)
    assert not whole[0].any()
    for ours, theirs, magnitude in zip(whole, weights, MAGNITUDES):
        if magnitude >= 1e-30:
            assert np.sqrt(((ours - theirs) ** 2).mean() / (theirs**2).mean()) < 0.005
        assert np.abs(ours - theirs).max() <= max(0.01 * magnitude, 128 * LEAST_ROW_SCALE)


@pytest.mark.parametrize("bits", [1, 2, 3, 4, 8])
def test_floats_of_every_magnitude(bits):
    """What readers take, up to `LARGEST`, is rounded and fitted without an overflow."""
    rng = np.random.default_rng(15)
    weights = rng.uniform(-1, 1, (len(MAGNITUDES), 96)) * np.minimum(MAGNITUDES, LARGEST)[:, None]
    weights = weights.astype(np.float32)
    with np.errstate(all="raise", under="ignore"):
        linear = round_s8("w", "F32", weights) if bits == 8 else round_u("w", "F32", weights, bits)
        q = integer_groups(linear)
    assert np.isfinite(linear.float32()).all()
    for ours, theirs, magnitude in zip(exact(q), weights.astype(np.float64), MAGNITUDES):
        if magnitude >= 1e-30:
            assert relative(ours, theirs) < {1: 0.6, 2: 0.3, 3: 0.15, 4: 0.08, 8: 0.007}[bits]
        assert np.abs(ours).max() <= 1.1 * magnitude + 128 * LEAST_ROW_SCALE


@pytest.mark.parametrize("fmt", [WeightFormat.S8, WeightFormat.TERNARY], ids=lambda f: f.name)
def test_lost_rows_are_reported(fmt):
    codes = np.ones((2, 32), np.int8)
    d = np.full((2, 1), 1e-40, np.float32)
    q = integer_groups(Linear(name="w", source="", format=fmt, codes=codes, d=d))
    assert not q.row_scale.any() and q.error == 1


@pytest.mark.parametrize("fmt", GROUPED, ids=lambda f: f.name)
def test_survives_packing(fmt):
    q = integer_groups(random_linear(fmt, 8))
    packed = pack(q.format, q.codes, q.scale, q.centre, q.row_scale, 16)
    for ours, theirs in zip(
        unpack(fmt, packed, 40, 5, 16), (q.codes, q.scale, q.centre, q.row_scale)
    ):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("bits, limit", [(8, 0.006), (4, 0.09), (3, 0.17), (2, 0.34), (1, 0.6)])
def test_rounding_floats(bits, limit):
    def rounding(*of):
        return round_s8(*of) if bits == 8 else round_u(*of, bits)

    weights = np.random.default_rng(9).normal(0, 0.1, (32, 128)).astype(np.float32)
    weights[0] = 0
    weights[1, :32] = 0.25
    linear = rounding("w", "F32", weights)
    assert relative(linear.float32(), weights) < limit
    assert not linear.float32()[0].any()
    np.testing.assert_allclose(linear.float32()[1, :32], 0.25, rtol=1e-6)


@pytest.mark.parametrize("bits", [1, 2, 3])
def test_few_bits_are_placed_well(bits):
    """Moving a value or the step changes nothing for the better; and values that there are codes
    for are met.
    """
    weights = np.random.default_rng(12).normal(0, 0.1, (16, 64)).astype(np.float32)
    linear = round_u("w", "F32", weights, bits)
    best = relative(linear.float32(), weights)
    for d, m in ((1.02, 0), (0.98, 0), (1, 0.01), (1, -0.01)):
        moved = Linear(
            name="w",
            source="",
            format=linear.format,
            codes=linear.codes,
            d=linear.d * np.float32(d),
            m=linear.m + np.float32(m),
        )
        assert relative(moved.float32(), weights) > best
    few = np.random.default_rng(13).integers(0, 1 << bits, (16, 64)).astype(np.float32) * 0.3 - 0.7
    few[:, ::32], few[:, 1::32] = -0.7, ((1 << bits) - 1) * 0.3 - 0.7
    np.testing.assert_allclose(round_u("w", "F32", few, bits).float32(), few, rtol=1e-5, atol=1e-6)
    huge = round_u("w", "F32", np.where(weights > 0, 1.7e38, -1.7e38).astype(np.float32), bits)
    assert np.isfinite(huge.d).all() and np.isfinite(huge.m).all()


def test_half_split():
    assert half_split(1, 4).tolist() == [0, 2, 1, 3]
    assert half_split(2, 4).tolist() == [0, 2, 1, 3, 4, 6, 5, 7]


@pytest.mark.parametrize("bits", [1, 2, 3, 4, 8])
def test_rounding_says_its_error(bits):
    weights = np.random.default_rng(bits).normal(0.1, 1, (20, 96)).astype(np.float32)
    weights[3] = 0
    found = round_s8("w", "", weights) if bits == 8 else round_u("w", "", weights, bits)
    assert found.rounding == pytest.approx(relative(found.float32(), weights), rel=1e-4)
    nothing = np.zeros((2, 32), np.float32)
    found = round_s8("w", "", nothing) if bits == 8 else round_u("w", "", nothing, bits)
    assert found.rounding == 0


@pytest.mark.parametrize(
    "fmt, scales",
    [
        (WeightFormat.FP4, 2.0 ** np.arange(-7, 1)),  # E8M0, as MXFP4 has it
        (WeightFormat.FP4_16, np.arange(8, 16) * 2.0 ** np.arange(-4, 1)[:, None]),  # E4M3: NVFP4
        (WeightFormat.S6, np.arange(-128, 128) * 0.37),  # integers under one float: Q6_K
    ],
    ids=lambda x: getattr(x, "name", ""),
)
def test_scales_of_files_are_kept(fmt, scales):
    """Where the rows' largest are apart as far as that, nothing is rounded."""
    rng, its = np.random.default_rng(3), FORMATS[fmt]
    d = rng.choice(scales.reshape(-1), (40, 4 * GROUP // its.group)).astype(np.float32)
    d[:, 0] = scales.reshape(-1)[np.abs(scales).argmax()]
    codes = rng.choice(its.every_code, (40, 4 * GROUP))
    linear = Linear(name="w", source="", format=fmt, codes=codes, d=d)
    q = integer_groups(linear)
    assert q.error < 1e-6
    np.testing.assert_allclose(exact(q), linear.float32(), rtol=1e-6)
