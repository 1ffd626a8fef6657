"""Compiled attention has the bits of its definition."""

import numpy as np
import pytest

from rtl.spec.config import KV_BLOCK, UNIT_BYTES
from sw_ref import attention, attention_kernels

from .test_kernels import same


@pytest.mark.parametrize("dim", [64, 128])
@pytest.mark.parametrize("length", [1, 31, 32, 33, 64, 200])
@pytest.mark.parametrize("spread", [0, 20, 255])
@pytest.mark.parametrize("before, cap", [(0, 0.0), (0, 50.0), (1, 0.0), (31, 50.0), (40, 0.0)])
def test_attend(dim, length, spread, before, cap):
    """Lengths about the blocks' size; exponents from alike to all there are; positions before a
    window, and blocks in any order.
    """
    rng = np.random.default_rng(length)

    def exponents(count):
        return rng.integers(128 - (spread + 1) // 2, 128 + spread // 2 + 1, count).astype(np.uint8)

    start, end = before, before + length
    count = (end - 1) // KV_BLOCK - start // KV_BLOCK + 1
    memory = rng.integers(0, 256, UNIT_BYTES + count * (UNIT_BYTES + 2 * KV_BLOCK * dim)).astype(
        np.uint8
    )
    cache = memory[UNIT_BYTES:].reshape(count, -1)
    cache[:, :UNIT_BYTES] = exponents((count, UNIT_BYTES))
    order = rng.permutation(count)
    scale = cache[order, :UNIT_BYTES].reshape(count, 2, KV_BLOCK)
    lines = cache[order, UNIT_BYTES:].reshape(count, 2, KV_BLOCK, dim).view(np.int8)
    its = slice(start % KV_BLOCK, start % KV_BLOCK + length)
    k, v = (lines[:, n].reshape(-1, dim)[its] for n in range(2))
    k_exponent, v_exponent = (scale[:, n].reshape(-1)[its] for n in range(2))
    q, q_exponent = rng.integers(-32767, 32768, (3, dim)).astype(np.int16), exponents(3)
    q[0] = 32767
    blocks = UNIT_BYTES + order * cache.shape[1]
    curve = attention_kernels.curve(cap)
    got = attention_kernels.attend(memory, blocks, start, end, q, q_exponent, *curve)
    want = attention.attend(q, q_exponent, k, k_exponent, v, v_exponent, start, cap)
    for one, other in zip(got, want):
        same(one, other)
