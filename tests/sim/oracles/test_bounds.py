"""Bounds hold for what benches draw, and for any pattern; and first guesses are as far off as is
said.
"""

from random import Random

import numpy as np
import pytest

from rtl.spec.config import get
from rtl.spec.isa import Func
from sim.benches.attention import attention as attention_bench, softmax as softmax_bench
from sim.benches.linear import row_scale as row_scale_bench
from sim.benches.vector import quantizer as quantizer_bench
from sim.harness.patterns import EDGES, floats
from sim.oracles import attention, fp, linear, vector
from sw_ref import numerics


SEEDS = [1, 2]


def wild(random, *shape):
    """All patterns alike, and edge values."""
    any_, edges = random.integers(0, 1 << 32, shape, np.uint32), np.array(EDGES, np.uint32)
    return np.where(random.random(shape) < 0.5, any_, random.choice(edges, shape)).view(np.float32)


@pytest.mark.parametrize("seed", SEEDS)
def test_any_pattern(seed):
    random = np.random.default_rng(seed)
    a, b, c = wild(random, 3, 20000)
    fp.ADD.expect(a, b)
    fp.MULTIPLY.expect(a, b)
    fp.LOAD.expect(a)
    vector.SILU.expect(a, b, c)
    vector.DOT.expect(a.reshape(-1, 100), b.reshape(-1, 100))
    for func in set(Func) - {Func.DOT}:
        vector.ELEMENTWISE.expect(func, a, b, c)
    for group, bits in ((32, 8), (64, 8), (64, 16)):
        vector.QUANTIZE.expect(a.reshape(-1, 160)[:, :128], group, bits)
    integers = random.integers(-1 << 15, 1 << 15, (20, 96))
    memory = np.where(np.isfinite(a[:288]), a[:288], np.float32(1)).reshape(3, 96)
    linear.LINEAR.expect(integers, b[:20], memory)
    linear.EMBEDDING.expect(integers, b[:20], 7)


@pytest.mark.parametrize("seed", SEEDS)
def test_what_models_have(seed):
    """Vectors of many magnitudes."""
    random = np.random.default_rng(seed)
    x, gain, up = random.standard_normal((3, 5000)).astype(np.float32)
    for magnitude in (10.0 ** np.arange(-6, 7.0)).astype(np.float32):
        vector.RMS_NORM.expect(magnitude * x.reshape(-1, 100), gain[:100], 1e-5)
        vector.SILU.expect(magnitude * x, up, gain)
        vector.DOT.expect(magnitude * x.reshape(-1, 50), gain.reshape(-1, 50))
        linear.LINEAR.expect(
            random.integers(-1 << 15, 1 << 15, (20, 96)),
            gain[:20],
            magnitude * x[:288].reshape(3, 96),
        )
    vector.RECIPROCALS.expect((2.0 ** random.uniform(-126, 124, 20000)).astype(np.float32))
    angle = random.uniform(-np.pi, np.pi, 5000)
    vector.ROTARY.expect(x, up, np.cos(angle).astype(np.float32), np.sin(angle).astype(np.float32))


@pytest.mark.parametrize("seed", SEEDS)
def test_what_benches_draw(seed):
    random, numbers = Random(seed), np.random.default_rng(seed)
    for length in (1, 2, 31, 32, 33, 100, 300):
        for style in ("real", "wild", "leap", "zero"):
            cache = attention_bench.Cache(get("small"), numbers, 1, 3, length, style)
            head = [x[0] for x in (cache.q, cache.q_exponent, cache.k, cache.k_exponent)]
            attention.SCORES.expect(*head)
            attention.ATTEND.expect(*head, cache.v[0], cache.v_exponent[0])
        for style in softmax_bench.STYLES:
            blocks = softmax_bench.head(numbers, 3, min(length, 250), style)
            attention.WEIGHTS.expect(
                np.concatenate([block.score for block in blocks], 1),
                np.concatenate([block.exponent for block in blocks]),
            )
    attention.ACCUMULATE.expect(
        numbers.integers(0, 41, (7, 3, 1)), numbers.integers(-1 << 30, 1 << 30, (7, 3, 64))
    )
    sums, scales, tops = row_scale_bench.matrix(random, 4, 3, 300, 16)
    linear.ROW_SCALE.expect(np.array(sums), floats(scales)[:, None], np.array(tops))
    linear.EXACT_SUMS.expect(
        numbers.integers(-1 << 15, 1 << 15, (20, 96)),
        numbers.integers(-128, 128, (3, 96)),
        numbers.integers(0, 256, (3, 3)),
    )
    for size, bits in ((32, 8), (64, 16), (128, 8)):
        for _ in range(30):
            vector.QUANTIZE.expect(floats(quantizer_bench.group(random, size)), size, bits)


def test_first_guesses():
    """Every eighth fraction, of odd and of even exponents: the error goes smoothly between."""
    for exponent in (127, 128):
        a = (np.arange(0, 1 << 23, 8, dtype=np.uint32) | exponent << 23).view(np.float32)
        exact = a.astype(np.float64)
        assert 0.050 < np.abs(numerics.recip_seed(a) * exact - 1).max() < 0.051
        assert 0.033 < np.abs(numerics.rsqrt_seed(a) * np.sqrt(exact) - 1).max() < 0.035
