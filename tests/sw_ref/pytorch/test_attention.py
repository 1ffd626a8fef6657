"""numpy and PyTorch attend alike, to the bit."""

import numpy as np
import pytest
import torch

from sw_ref import numerics
from sw_ref.attention import attend
from sw_ref.pytorch import attention as torch_attention

from .test_ops import same


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
