"""Running maxima of softmax, as random programs' bins have them."""

from types import SimpleNamespace

import numpy as np
import pytest

from rtl.spec.config import KV_BLOCK, get
from rtl.spec.isa import Append, Attend, Dest, Quant
from sim.programs.maxima import Maxima


CONFIG = get("small")
DIM = CONFIG.head_dim


def machine(keys):
    """One whose cache has keys that are all their first element, by position, and a query of
    ones.
    """
    lines = np.zeros((len(keys), DIM), np.int8)
    lines[:, 0] = keys
    blocks = lines.reshape(-1, KV_BLOCK, DIM)
    exponents = np.full(blocks.shape[:2], 140, np.uint8)
    return SimpleNamespace(
        config=CONFIG,
        queries=[(np.full(DIM, 1 << 10, np.int16), np.uint8(127))] * 2,
        cache=lambda addr, length: (blocks, exponents, blocks, exponents),
    )


@pytest.mark.parametrize(
    "at, length, grown",
    [
        ({}, 96, {False}),
        ({0: 90, 40: 80, 70: 90}, 96, {False}),
        ({0: 80, 40: 90}, 96, {True}),
        ({95: 90}, 96, {True}),
        ({95: 90}, 95, {False}),  # not of the positions
        ({0: 90}, 32, set()),  # a single block
    ],
)
def test_growth(at, length, grown):
    keys = np.ones(96, np.int8)
    keys[list(at)] = list(at.values())
    seen = Maxima(machine(keys))
    seen.follow(Quant(dest=Dest.QUERY, outer=1, inner=2 * DIM))
    seen.follow(Quant(dest=Dest.KV, outer=1, inner=DIM))
    seen.follow(Append(heads=1))
    seen.follow(Attend(heads=1, queries=2, length=length))
    assert seen.grown == grown
