"""A program that attends to a window, position after position, far beyond the ring's turn."""

import numpy as np
import pytest

from rtl.spec import kv
from rtl.spec.config import Config
from rtl.spec.isa import (
    Append,
    Attend,
    Dest,
    Halt,
    Load,
    Quant,
    Scalar,
    Source,
    Sync,
    Unit,
)
from rtl.spec.numbers import KV_BLOCK, UNIT_BYTES
from sw_ref.machine import Machine
from sw_ref.numerics import dequantize, quantize


CAP = 50.0
CONFIG = Config(
    name="windows", beat_bits=128, columns=1, lanes=4, queries=2, vector_words=2048, score_cap=CAP
)
DIM, HEADS, UNITS = CONFIG.head_dim, 2, CONFIG.kv_block_units
CACHE, WORDS = 64, HEADS * DIM  # units before the cache; words of all heads' keys
QUERIES = CONFIG.queries * WORDS
RESULT, SUMS = 512, 1024


def program(window, count, cap):
    """Append a position and attend, in rings of `count` blocks. The block's place in the ring, a
    remainder, is found by multiplications.
    """
    shift = 20
    whole = -(-(1 << shift) // count)  # of a block's number, shifted right: how often around
    stride = count * UNITS
    ring = {"addr": CACHE, "stride": stride, "heads": HEADS}
    newest = {"heads": HEADS, "stride": stride, "position_reg": 4, "addr_reg": 3}
    return [
        Scalar(rd=1, source=Source.POSITION.value, shift=5, factor=whole),
        Scalar(rd=2, source=Source.POSITION.value, shift=5, factor=UNITS),
        Scalar(rd=3, source=1, shift=shift, factor=-stride % (1 << 32), offset=CACHE, plus=2),
        Scalar(rd=4, source=Source.POSITION.value, factor=1),
        Load(addr=0, size=(2 * WORDS + QUERIES) // 16, dst=0),
        Sync(unit=Unit.LOAD, give=1),
        Sync(unit=Unit.VECTOR, take=1),
        Quant(dest=Dest.KV, outer=1, inner=WORDS, a=0),
        Append(value=0, **newest),
        Quant(dest=Dest.KV, outer=1, inner=WORDS, a=WORDS),
        Append(value=1, **newest),
        Quant(dest=Dest.QUERY, outer=1, inner=QUERIES, a=2 * WORDS),
        Attend(
            queries=CONFIG.queries,
            length=1,
            length_reg=4,
            window=window,
            newest_reg=3,
            cap=cap,
            dst=RESULT,
            sums=SUMS,
            **ring,
        ),
        Halt(),
    ]


def softmax(q, k, v, cap):
    """Attention in float64; the factor of the queries is theirs."""
    scores = q @ k.T * np.log(2)
    scores = CAP * np.tanh(scores / CAP) if cap else scores
    weights = np.exp(scores - scores.max(1, keepdims=True))
    return weights @ v / weights.sum(1, keepdims=True)


def dequantized(x, bits=8):
    return dequantize(*quantize(x, DIM, bits), bits)


@pytest.mark.parametrize(
    "window, spare, cap", [(1, 0, 0), (31, 1, 1), (32, 0, 1), (33, 0, 0), (100, 2, 1)]
)
def test_softmax_of_a_window(window, spare, cap):
    rng, count = np.random.default_rng(window), kv.ring_blocks(1 << 20, window) + spare
    words = tuple(insn.encode() for insn in program(window, count, cap))
    memory = rng.integers(0, 256, (CACHE + HEADS * count * UNITS) * UNIT_BYTES).astype(np.uint8)
    end = len(memory) // UNIT_BYTES
    machine = Machine(CONFIG, memory, writable=(CACHE, end))
    keys, values = [], []
    positions = (count + 2) * KV_BLOCK + 7
    for position in range(positions):
        k, v, q = (
            rng.normal(size=(n * HEADS, DIM)).astype(np.float32) for n in (1, 1, CONFIG.queries)
        )
        q *= np.float32(0.5 if not cap else 4)
        keys.append(dequantized(k))
        values.append(dequantized(v))
        numbers = np.concatenate([k.ravel(), v.ravel(), q.ravel()]).view(np.uint8)
        memory[: len(numbers)] = numbers
        machine.run(words, tokens=[0], position=position)
        last = slice(max(0, position + 1 - window), None)
        for head in range(HEADS):
            its = slice(head * CONFIG.queries, (head + 1) * CONFIG.queries)
            sums = machine.vector[SUMS :: CONFIG.lanes][its, None]
            got = machine.vector[RESULT:][:QUERIES].reshape(-1, DIM)[its] / sums
            k, v = (np.stack(x[last])[:, head] for x in (keys, values))
            want = softmax(dequantized(q, 16)[its], k, v, cap)
            np.testing.assert_allclose(got, want, atol=5e-3 * np.abs(want).max())
