"""How far the integer attention is from softmax: the figures of docs/rfcs/0002."""

import numpy as np
import pytest

from sw_ref.attention import attend
from sw_ref.numerics import dequantize, quantize


HEADS, DIM = 20, 64


def error(rng, length, spread):
    """Error relative to the result's RMS, against float64 softmax over the same quantized values.

    The values' scales are spread over 2**spread.
    """
    q = rng.standard_normal((3, DIM)) * rng.choice([0.02, 0.1, 0.3]) * np.log2(np.e)
    k = rng.standard_normal((length, DIM)) * 3
    v = rng.standard_normal((length, DIM)) * 2.0 ** rng.integers(-spread, 1, (length, 1))
    quantized = [quantize(x.astype(np.float32), DIM, bits) for x, bits in ((q, 16), (k, 8), (v, 8))]
    numerators, denominators = attend(*(part for x, e in quantized for part in (x, e[:, 0])))
    q, k, v = (dequantize(x, e, bits) for (x, e), bits in zip(quantized, (16, 8, 8)))
    scores = q @ k.T
    weights = np.exp2(scores - scores.max(1, keepdims=True))
    expected = weights @ v / weights.sum(1, keepdims=True)
    got = numerators.astype(np.float64) / denominators[:, None]
    return (got - expected) / np.sqrt((expected**2).mean(1, keepdims=True))


@pytest.mark.seconds(1)
@pytest.mark.parametrize(
    "length, rms, worst", [(1, 0, 0), (32, 3e-4, 3e-3), (512, 1e-3, 8e-3), (4096, 4e-3, 5e-2)]
)
@pytest.mark.parametrize("spread", [0, 8])
def test_error(length, rms, worst, spread):
    rng = np.random.default_rng(1)
    errors = np.concatenate([error(rng, length, spread) for _ in range(HEADS)])
    print(
        f"\n{length} positions, scales over 2**{spread}: RMS {np.sqrt((errors**2).mean()):.1e}, "
        f"largest {np.abs(errors).max():.1e}"
    )
    assert np.sqrt((errors**2).mean()) <= rms
    assert np.abs(errors).max() <= worst
