"""The search for the best logits: cycles of logits in random order."""

from functools import lru_cache

from rtl.spec.csr import BEST


__all__ = ["search_cycles"]


BLOCK = 8  # entries that move at once


LOOK, INSERT = 1, 6  # cycles of every logit, and more of one that is among the best so far


@lru_cache(maxsize=16)
def _sums(count: int) -> list[float]:
    sums = [0.0]
    for n in range(count):
        moved = min(n, BEST - 1) / 2  # entries that move down, in the mean: blocks, then entries
        share = min(1.0, BEST / (n + 1))
        own = min(moved, (BLOCK - 1) / 2)
        sums.append(sums[-1] + LOOK + share * (INSERT + (moved - own) / BLOCK + own))
    return sums


def search_cycles(count: int, first: float, last: float) -> float:
    """Expected cycles of the logits from `first` to before `last`, of `count` in random order.

    The nth is among the best of those before with a probability of BEST / n, and is as likely at
    any place among them.
    """
    sums = _sums(count)
    return sums[min(count, round(last))] - sums[min(count, round(first))]
