"""numpy and PyTorch attend alike, to the bit."""

import numpy as np
import pytest
import torch

from sw_ref import numerics
from sw_ref.attention import attend, capped
from sw_ref.pytorch import attention as torch_attention

from .test_ops import same


@pytest.mark.parametrize("cap", [1.0, 2.5, 50.0, 100.0])
def test_capped(cap):
    scores = np.random.default_rng(3).integers(-(1 << 23), 1 << 23, (2, 20000))
    scores[1] >>= 5
    scores[0, :4] = -(1 << 23), (1 << 23) - 1, 0, -1
    same(capped(scores, cap), torch_attention.capped(torch.from_numpy(scores), cap))


@pytest.mark.parametrize("start, cap", [(1, 0.0), (31, 50.0), (33, 0.0)])
@pytest.mark.parametrize("length", [1, 31, 33, 70])
def test_attend_from_a_position(start, cap, length):
    rng = np.random.default_rng(length)
    q, k, v = (rng.integers(-127, 128, (n, 64)) for n in (3, length, length))
    qe, ke, ve = (rng.integers(120, 132, n) for n in (3, length, length))
    parts = 200 * q, qe, k, ke, v, ve
    got = torch_attention.attend_quantized(*map(torch.from_numpy, parts), start, cap)
    for a, b in zip(attend(*parts, start, cap), got):
        same(a, b)


@pytest.mark.parametrize("length", [1, 31, 32, 33, 100])
@pytest.mark.parametrize("spread", [0.0, 3.0])
def test_attend(length, spread):
    rng = np.random.default_rng(length)
    q, k, v = (
        rng.normal(size=(n, 64)) * np.exp2(rng.normal(0, spread, (n, 1)).round()) * 2
        for n in (3, length, length)
    )
    q, k, v = (x.astype(np.float32) for x in (q, k, v))
    kq, ke = numerics.quantize(k, 64)
    vq, ve = numerics.quantize(v, 64)
    qq, qe = numerics.quantize(q, 64, 16)
    got = attend(qq, qe[:, 0], kq, ke[:, 0], vq, ve[:, 0])
    for a, b in zip(got, torch_attention.attend(*(torch.tensor(x) for x in (q, k, v)))):
        same(a, b)
    # And it is attention: softmax in base 2 over exact scores.
    scores = q.astype(np.float64) @ k.astype(np.float64).T
    weights = np.exp2(scores - scores.max(1, keepdims=True))
    exact = weights / weights.sum(1, keepdims=True) @ v
    size = np.abs(v).max()
    np.testing.assert_allclose(got[0] / got[1][:, None], exact, atol=0.1 * size)
