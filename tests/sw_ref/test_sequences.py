"""Sequences give finite results, and sane ones, whatever comes in."""

import numpy as np
import pytest
import torch

from sim.harness.patterns import EDGES, floats
from sw_ref.numerics import MAX, dot
from sw_ref.pytorch import ops
from sw_ref.sequences import RECIPROCAL, RSQRT, SEQUENCES, SILU_GATE, evaluate, gate, norm_scale


X = floats(EDGES)
HUGE = np.float32([1e38, 2e38, 3.4e38, MAX])


def finite(x):
    return np.isfinite(x).all()


def all_finite(steps, **values):
    """Whether every result of the steps is."""
    after = evaluate(steps, **values)
    return all(finite(after[name]) for name in {result for _, result, *_ in steps})


def test_reciprocal():
    assert all_finite(RECIPROCAL, d=X)
    assert (evaluate(RECIPROCAL, d=np.float32([0, -0.0]))["r"] == [MAX, -MAX]).all()
    # Below 2**-126, and flushed.
    r = evaluate(RECIPROCAL, d=np.concatenate([HUGE, -HUGE]))["r"]
    assert (r == 0).all() and (np.signbit(r) == ([False] * 4 + [True] * 4)).all()


def test_reciprocal_of_all_magnitudes():
    """Right where the steps' products are not flushed; beyond, as good as the first guess."""
    d = np.exp2(np.linspace(-126, 125.9, 5000)).astype(np.float32)
    r = evaluate(RECIPROCAL, d=d)["r"].astype(np.float64)
    error = np.abs(r * d - 1)
    assert (error[d < 2.0**100] < 3e-7).all() and (error < 0.13).all()


def test_rsqrt():
    assert all_finite(RSQRT, v=X)
    assert evaluate(RSQRT, v=0.0)["r"][0] > 1e19


def test_norm_of_huge_values():
    """The sum of squares is at the largest number: the scale is small, and positive."""
    for hidden in (64, 576, 4096):
        for x in HUGE:
            values = np.full(hidden, x, np.float32)
            s = dot(values, values)
            assert s == MAX
            r = evaluate(norm_scale(hidden, 1e-5), s=s)["r"]
            np.testing.assert_allclose(r, np.sqrt(hidden / np.float64(MAX)), rtol=1e-5)
    assert all_finite(norm_scale(576, 0.0), s=X)


def test_silu_gate():
    g, up = (x.ravel() for x in np.meshgrid(X, X))
    for s in (1.0, 3e38, 0.0):
        assert all_finite(SILU_GATE, g=g, up=up, s=s)
    result = evaluate(SILU_GATE, g=np.float32([MAX, -MAX, 0, -0.0]), up=1.0, s=1.0)["g"]
    assert result[0] == MAX and (result[2:] == 0).all()
    # sigmoid(-80) is as small as it gets: 1.8e-35.
    assert -1e4 < result[1] < 0


@pytest.mark.parametrize("name", ["gelu", "gelu_tanh", "relu", "relu2"])
def test_gates_of_extremes(name):
    g, up = (x.ravel() for x in np.meshgrid(X, X))
    for s in (1.0, 3e38, 0.0):
        assert all_finite(gate(name), g=g, up=up, s=s)
    result = evaluate(gate(name), g=np.float32([MAX, -MAX, 0, -0.0]), up=1.0, s=1.0)["g"]
    assert result[0] == MAX and (result[2:] == 0).all()
    # As with SiLU, the sigmoid's least is no zero, and that of the tail is 3e-14.
    assert -1e4 < result[1] <= 0


def test_relu_is_exact():
    x = np.float32([3, -3, 1e-30, -1e-30, MAX, -MAX, 2.0**-124])
    result = evaluate(gate("relu"), g=x, up=1.0, s=1.0)["g"]
    np.testing.assert_array_equal(result, np.maximum(x, 0))


def layer_norm(x, eps):
    """The parts that :mod:`sw_ref.sequences.centred` names, on numpy and in PyTorch."""
    n = x.shape[-1]
    s = dot(x, np.ones_like(x))[:, None]
    d = evaluate(SEQUENCES["centred"](n), x=x, s=s)["d"]
    r = evaluate(norm_scale(n, eps), s=dot(d, d)[:, None])["r"]
    theirs = ops.centred(torch.tensor(x))
    return d * r, (theirs * ops.rms_reciprocal(theirs, eps)[:, None]).numpy()


@pytest.mark.parametrize("size", [64, 768, 2560])
@pytest.mark.parametrize("mean, spread", [(0, 1), (3, 0.1), (-1e-3, 1e3), (1e6, 1e5)])
def test_layer_norm(size, mean, spread):
    """The mean rounds once for each of size / 64 + 7 sums, as far as it is above the spread."""
    x = np.random.default_rng(size).normal(mean, spread, (50, size)).astype(np.float32)
    ours, theirs = layer_norm(x, 1e-5)
    np.testing.assert_array_equal(ours, theirs)
    exact = torch.nn.functional.layer_norm(torch.tensor(x).double(), (size,), eps=1e-5).numpy()
    bound = (size / 64 + 7) * 2.0**-24 * (1 + abs(mean) / spread)
    assert np.abs(ours - exact).max() < 5 * bound
