"""The table without scaling is what models had before there were scalings, and all is finite."""

import numpy as np
import pytest

from sw_ref.float32 import angles
from sw_ref.graph import Angles
from sw_ref.rotary import KINDS, RopeScaling, frequencies, table


@pytest.mark.parametrize("dim, theta", [(64, 1e4), (128, 5e5), (96, 1e6), (32, 10000)])
def test_default_is_what_evaluation_computes(dim, theta):
    both = np.concatenate(table(dim, theta, RopeScaling(), 200), -1)
    expected = angles(Angles(name="angles", size=dim, dim=dim, theta=theta), 200)
    np.testing.assert_array_equal(both.view(np.uint32), expected.view(np.uint32))


def test_factors_divide():
    factors = tuple(1.0 + n for n in range(32))
    found = frequencies(64, 1e4, RopeScaling("linear", factor=2.0, factors=factors))
    np.testing.assert_allclose(found, frequencies(64, 1e4) / np.arange(2, 66, 2), rtol=1e-6)
    with pytest.raises(ValueError, match=r"^RoPE factors must be 16, one per frequency, not 32$"):
        frequencies(32, 1e4, RopeScaling(factors=factors))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("theta", [1.5, 1e15])
def test_finite(kind, theta):
    for factor, original in (1e-6, 2), (1e15, 2), (1.0, 1 << 40):
        scaling = RopeScaling(kind, factor=factor, original=original, context=1 << 20)
        for part in table(64, theta, scaling, 50):
            assert np.isfinite(part).all() and np.abs(part).max() <= 1


def test_unknown():
    message = rf"^RoPE scaling must be one of {', '.join(KINDS)}, not 'ntk'$"
    with pytest.raises(ValueError, match=message):
        RopeScaling("ntk")
