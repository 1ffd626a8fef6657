"""Weights in any format that groups have scales in."""

import numpy as np
import pytest

from mapper.quantize import integer_groups
from mapper.read.bounds import LARGEST
from mapper.rounding import round_s8, round_to, round_u, round_weights
from rtl.spec.formats import FORMATS
from rtl.spec.isa import WeightFormat
from sim.models.toy import round_rows


# The relative error that each may have of weights with a normal distribution. Where llama.cpp has
# a type of the same codes, its error is about the same: Q6_K's 1.78 %, IQ4_NL's 7.60 %.
ERRORS = {
    **{"U1": 0.58, "U2": 0.31, "U3": 0.155, "U4": 0.08, "U5": 0.039, "S6": 0.0182, "S8": 0.0055},
    **{"FP4": 0.095, "FP4_16": 0.086, "IQ4": 0.077},
}
SCALED = [fmt for fmt, its in FORMATS.items() if its.scaled]
ALL = pytest.mark.parametrize("fmt", SCALED, ids=lambda fmt: fmt.name)
WEIGHTS = np.random.default_rng(4).normal(0, 0.05, (64, 256)).astype(np.float32)


def relative(found, weights):
    change = np.square(found - weights, dtype=np.float64).sum()
    return np.sqrt(change / np.square(weights, dtype=np.float64).sum())


@ALL
def test_error(fmt):
    weights, its = WEIGHTS.copy(), FORMATS[fmt]
    weights[3], weights[4, :32] = 0, 0
    found = round_weights("w", "F32", weights, fmt)
    assert (found.name, found.source, found.format) == ("w", "F32", fmt)
    assert found.codes.dtype == its.dtype and found.d.shape == (64, 256 // its.group)
    assert its.low <= found.codes.min() and found.codes.max() <= its.high
    assert found.rounding == pytest.approx(relative(found.float32(), weights), rel=1e-4)
    assert 0.9 * ERRORS[fmt.name] < found.rounding < ERRORS[fmt.name]
    assert not found.float32()[3].any() and not found.float32()[4, :32].any()


@ALL
def test_what_codes_say_is_met(fmt):
    """Weights that have codes and steps of the format come back."""
    its, rng = FORMATS[fmt], np.random.default_rng(5)
    codes = rng.choice(its.every_code, (8, 128))
    codes[:, ::16], codes[:, 1::16] = its.low, its.high  # so that ranges are known
    if not its.centred:
        extreme = its.every_code[np.abs(its.grid(its.every_code)).argmax()]
        codes[:, 2::16] = extreme
    if fmt == WeightFormat.S8:
        codes = codes.clip(-127, 127)  # what it is rounded to
    weights = its.grid(codes).astype(np.float32) * np.float32(0.125)
    found = round_weights("w", "F32", weights, fmt)
    np.testing.assert_allclose(found.float32(), weights, rtol=1e-6, atol=1e-6)


@ALL
def test_every_magnitude(fmt):
    """No overflow, whatever readers take."""
    size = np.float32([1e-44, 1e-38, 1e-30, 1, 1e30, LARGEST])[:, None]
    weights = np.random.default_rng(6).uniform(-1, 1, (6, 96)).astype(np.float32) * size
    with np.errstate(all="raise", under="ignore"):
        found = round_weights("w", "F32", weights, fmt)
        integer_groups(found)
    assert np.isfinite(found.float32()).all()
    for n in range(2, 6):
        assert relative(found.float32()[n], weights[n]) < 1.5 * ERRORS[fmt.name]


def test_steps_are_placed_well():
    """Moving the steps changes nothing for the better."""
    for fmt in SCALED:
        if fmt == WeightFormat.S8 or FORMATS[fmt].centred:
            continue
        found = round_weights("w", "F32", WEIGHTS, fmt)
        for factor in 0.98, 1.02:
            moved = found.float32() * np.float32(factor)
            assert relative(moved, WEIGHTS) > found.rounding


def test_as_readers_round():
    for fmt, expected in [
        (WeightFormat.S8, round_s8("w", "F32", WEIGHTS)),
        (WeightFormat.U3, round_u("w", "F32", WEIGHTS, 3)),
    ]:
        found = round_weights("w", "F32", WEIGHTS, fmt)
        np.testing.assert_array_equal(found.codes, expected.codes)
        np.testing.assert_array_equal(found.d, expected.d)


def test_codes_of_the_format_are_kept():
    """But not with a scale for each row, whose rows have no addresses."""
    linear = round_weights("w", "Q6_K", WEIGHTS, WeightFormat.S6)
    assert round_to(linear, WeightFormat.S6) is linear
    assert round_to(linear, WeightFormat.U4).rounding > 0.05
    rows = round_rows("w", WEIGHTS, WeightFormat.S8)
    assert rows.by_row and not round_to(rows, WeightFormat.S8).by_row
