"""numpy and PyTorch read the definition of the arithmetic alike, to the bit."""

import numpy as np
import pytest
import torch

from sim.harness.patterns import EDGES as PATTERNS, floats
from sw_ref import numerics
from sw_ref.pytorch import ops as torch_ops
from sw_ref.sequences import RECIPROCAL, SILU_GATE, evaluate, norm_scale


EDGES = floats(PATTERNS)


def wild(rng, *shape):
    """All patterns alike, and edge values."""
    x, edges = rng.integers(0, 1 << 32, shape, np.uint32), np.array(PATTERNS, np.uint32)
    return np.where(rng.random(shape) < 0.5, x, rng.choice(edges, shape)).view(np.float32)


def values(rng, count, spread=30):
    """Floats of many magnitudes, with the edges among them."""
    made = (rng.normal(size=count) * np.exp2(rng.integers(-spread, spread, count))).astype(
        np.float32
    )
    made[: len(EDGES)] = EDGES
    return made


def same(a, b):
    np.testing.assert_array_equal(np.asarray(a).view(np.uint32), b.numpy().view(np.uint32))


@pytest.mark.parametrize("spread", [3, 30, 100])
def test_elementwise(spread):
    rng = np.random.default_rng(spread)
    a, b, c = (rng.permutation(values(rng, 5000, spread)) for _ in range(3))
    tensors = [torch.tensor(x) for x in (a, b, c)]
    same(numerics.madd(a, b, c), torch_ops.madd(*tensors))
    same(numerics.nmadd(a, b, c), torch_ops.nmadd(*tensors))


def test_every_function_on_all_patterns():
    a, b, c = wild(np.random.default_rng(1), 3, 50000)
    x, y, z = (torch.tensor(v) for v in (a, b, c))
    for ours, theirs in [
        (numerics.product(a, b), torch_ops.multiply(x, y)),
        (numerics.add(a, b), torch_ops.add(x, y)),
        (numerics.madd(a, b, c), torch_ops.madd(x, y, z)),
        (numerics.nmadd(a, b, c), torch_ops.nmadd(x, y, z)),
        (numerics.clamp(a, b), torch_ops.clamp(x, y)),
        (numerics.scale(a, c), torch_ops.scale(x, z)),
        (numerics.scale(a, c, -1), torch_ops.scale(x, z, -1)),
        (numerics.recip_seed(a), torch_ops.reciprocal_seed(x)),
        (numerics.rsqrt_seed(a), torch_ops.rsqrt_seed(x)),
        (numerics.loaded(a), torch_ops.load(x)),
        (
            numerics.dot(a.reshape(-1, 100), b.reshape(-1, 100)),
            torch_ops.dot(x.reshape(-1, 100), y.reshape(-1, 100)),
        ),
    ]:
        same(ours, theirs)
        assert np.isfinite(ours).all()
    assert (numerics.value(a) == torch_ops.number(x).numpy()).all()


@pytest.mark.parametrize("length", [4, 64, 100, 576])
def test_dot(length):
    a, b = (
        np.random.default_rng(length).normal(size=(7, length)).astype(np.float32) for _ in range(2)
    )
    same(numerics.dot(a, b), torch_ops.dot(torch.tensor(a), torch.tensor(b)))


def test_sequences():
    rng = np.random.default_rng(4)
    x, up = (rng.normal(0, 30, 4000).astype(np.float32) for _ in range(2))
    positive = np.abs(x) + np.float32(1e-3)
    same(evaluate(RECIPROCAL, d=positive)["r"], torch_ops.reciprocal(torch.tensor(positive)))
    same(
        evaluate(norm_scale(576, 1e-5), s=positive)["r"],
        torch_ops.rsqrt(torch_ops.madd(torch.tensor(positive), 1 / 576, 1e-5)),
    )
    same(
        evaluate(SILU_GATE, g=x, up=up, s=up[:1])["g"],
        torch_ops.silu_gate(
            *(torch_ops.madd(torch.tensor(v), torch.tensor(up[:1]), 0.0) for v in (x, up))
        ),
    )


def test_sequences_on_all_patterns():
    a, b, s = wild(np.random.default_rng(5), 3, 5000)
    x, y, z = (torch.tensor(v) for v in (a, b, s))
    same(evaluate(RECIPROCAL, d=a)["r"], torch_ops.reciprocal(x))
    same(
        evaluate(norm_scale(576, 1e-5), s=a)["r"], torch_ops.rsqrt(torch_ops.madd(x, 1 / 576, 1e-5))
    )
    same(
        evaluate(SILU_GATE, g=a, up=b, s=s)["g"],
        torch_ops.silu_gate(torch_ops.madd(x, z, 0.0), torch_ops.madd(y, z, 0.0)),
    )


def test_sequences_are_what_they_are_called():
    x = np.linspace(-100, 100, 20001).astype(np.float32)
    exact = x.astype(np.float64)
    positive = np.exp(np.linspace(-60, 60, 20001)).astype(np.float32)
    silu = evaluate(SILU_GATE, g=x, up=np.ones_like(x), s=1.0)["g"]
    np.testing.assert_allclose(silu, exact / (1 + np.exp(-exact)), rtol=5e-6, atol=1e-30)
    np.testing.assert_allclose(
        evaluate(RECIPROCAL, d=positive)["r"], 1 / positive.astype(np.float64), rtol=2e-7
    )
    np.testing.assert_allclose(
        evaluate(norm_scale(1, 0.0), s=positive)["r"],
        1 / np.sqrt(positive.astype(np.float64)),
        rtol=3e-7,
    )


@pytest.mark.parametrize("group, bits", [(32, 8), (64, 8), (64, 16), (128, 16)])
def test_quantize(group, bits):
    x = values(np.random.default_rng(bits), 128 * 20, 20).reshape(5, -1)
    x[:, :group] = 0
    q, exponent = numerics.quantize(x, group, bits)
    expected, expected_exponent = torch_ops.quantize(torch.tensor(x), group, bits)
    np.testing.assert_array_equal(q, expected)
    np.testing.assert_array_equal(exponent, expected_exponent)
    # The error is at most half a step, or one where the limit cuts a value that rounds up to it.
    step = np.exp2(exponent.astype(int) - 127.0 - (bits - 2)).repeat(group, 1)
    assert (np.abs(numerics.dequantize(q, exponent, bits) - numerics.value(x)) <= step).all()


def test_dot_of_underflows_alone():
    """Nothing is added where there is no element: a sum of -0 stays one."""
    a, b = np.full((1, 4), 1e-30, np.float32), np.full((1, 4), -1e-30, np.float32)
    same(numerics.dot(a, b), torch_ops.dot(torch.tensor(a), torch.tensor(b)))


@pytest.mark.parametrize(
    "i, exponent, pattern",
    [
        (0, 5, 0),
        (-1, 0, 0xBF800000),
        ((1 << 24) + 1, 0, 0x4B800000),
        ((1 << 24) + 3, 0, 0x4B800002),
        ((1 << 25) - 1, 0, 0x4C000000),
        (1, -126, 0x00800000),
        (1, -127, 0),
        (-3, -128, 0x80000000),
        (1, 128, 0x7F7FFFFF),
        ((1 << 24) - 1, 104, 0x7F7FFFFF),
        (-(1 << 53), 1023, 0xFF7FFFFF),
    ],
)
def test_from_int(i, exponent, pattern):
    """Rounded to even, flushed, limited."""
    made = torch_ops.from_int(torch.tensor([i]), torch.tensor([exponent]))
    assert made.numpy().view(np.uint32).tolist() == [pattern]
