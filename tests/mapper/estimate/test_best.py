"""Expected cycles of the search, beside searches of logits in random order."""

from bisect import bisect_left

import numpy as np
import pytest

from mapper.estimate.best import BLOCK, INSERT, LOOK, search_cycles
from rtl.spec.csr import BEST


def searched(logits):
    """Cycles of a search, as :class:`rtl.linear.best.BestLogits` says."""
    best, cycles = [], 0
    for logit in logits:
        place = bisect_left(best, -logit)
        cycles += LOOK
        if place < BEST:
            blocks, entries = len(best) // BLOCK - place // BLOCK, place % BLOCK
            cycles += INSERT + blocks + (len(best) - place if not blocks else BLOCK - 1 - entries)
            best.insert(place, -logit)
            del best[BEST:]
    return cycles


@pytest.mark.parametrize("count", [100, 1000, 20000])
def test_expected(count):
    rng = np.random.default_rng(1)
    found = np.mean([searched(rng.random(count)) for _ in range(5)])
    assert search_cycles(count, 0, count) == pytest.approx(found, rel=0.1)


def test_parts():
    """Parts of the logits add up, and the first ones take longest."""
    whole = search_cycles(5000, 0, 5000)
    parts = [search_cycles(5000, n, n + 500) for n in range(0, 5000, 500)]
    assert sum(parts) == pytest.approx(whole)
    assert parts == sorted(parts, reverse=True) and parts[0] > parts[-1]
