"""The cap of scores is the hyperbolic tangent, to a step of a score."""

import numpy as np
import pytest

from rtl.spec.score_cap import EXTRA, MAX_CAP, MIN_CAP, PIECES, curve
from sw_ref.attention import FRACTION, SCORE_BITS, attend, capped
from sw_ref.numerics import dequantize, quantize


LIMIT = 1 << SCORE_BITS - 1
CAPS = [MIN_CAP, 2.5, 30, 50, 56, 57, MAX_CAP]


@pytest.mark.parametrize("cap", CAPS)
def test_error(cap):
    """Every score up to where the curve is flat, and some beyond. The largest errors are those of
    caps at which pieces have just become twice as long: 57 is the worst of all.
    """
    its = curve(cap)
    score = np.append(np.arange(PIECES + 2 << its.shift), [LIMIT - 1, LIMIT])
    limit = cap * np.log2(np.e) * (1 << FRACTION)
    got = capped(score, cap)
    error = np.abs(got - limit * np.tanh(score / limit)).max()
    print(f"\ncap {cap}: {error:.2f} steps of 2**-{FRACTION}")
    assert 0.5 < error < (0.73 if cap == 50 else 1.15)
    assert (np.diff(got) >= 0).all() and got[0] == 0
    np.testing.assert_array_equal(capped(-score, cap), -got)


@pytest.mark.parametrize("cap", np.linspace(MIN_CAP, MAX_CAP, 100))
def test_curve(cap):
    """It rises by at most a step a step, and is within half a step of its limit at its end."""
    its, limit = curve(cap), cap * np.log2(np.e) * (1 << FRACTION)
    assert len(its.nodes) == PIECES + 1 and its.nodes[0] == 0
    assert 0 <= min(its.slopes) and max(its.slopes) <= 1 << its.shift + EXTRA
    assert abs(its.nodes[-1] / (1 << EXTRA) - limit) <= 0.5 + 1 / (1 << EXTRA)
    assert limit * np.tanh((PIECES << its.shift) / limit) > limit - 0.51


def test_attention():
    """Of scores far beyond the cap; without it, the result is far away."""
    rng, cap = np.random.default_rng(5), 5.0
    q, k, v = (rng.normal(size=(n, 64)).astype(np.float32) for n in (4, 300, 300))
    q *= np.float32(np.log2(np.e) * 2)
    quantized = [quantize(x, 64, bits) for x, bits in ((q, 16), (k, 8), (v, 8))]
    parts = [part for x, e in quantized for part in (x, e[:, 0])]
    q, k, v = (dequantize(x, e, bits) for (x, e), bits in zip(quantized, (16, 8, 8)))
    scores = q @ k.T * np.log(2)
    assert np.abs(scores).max() > 8 * cap
    weights = np.exp(cap * np.tanh(scores / cap))
    want = weights @ v / weights.sum(1, keepdims=True)

    def error(cap):
        numerators, denominators = attend(*parts, cap=cap)
        return np.abs(numerators / denominators[:, None] - want).max() / np.abs(want).max()

    assert error(cap) < 0.01 and error(0.0) > 0.5
