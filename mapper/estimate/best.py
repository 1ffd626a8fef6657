"""The search for the best logits: cycles of logits in random order."""

from functools import lru_cache

from rtl.spec.csr import BEST


__all__ = ["search_cycles"]


LOOK, INSERT = 2, 2  # cycles of every logit, and more of one that is among the best so far


@lru_cache(maxsize=16)
def _sums(count: int) -> list[float]:
    sums = [0.0]
    for n in range(count):
        kept = min(n, BEST - 1)  # entries that may move down, in the mean half of them
        share = min(1.0, BEST / (n + 1))
        sums.append(sums[-1] + LOOK + share * (INSERT + kept / 2))
    return sums


def search_cycles(count: int, first: float, last: float) -> float:
    """Expected cycles of the logits from `first` to before `last`, of `count` in random order.

    The nth is among the best of those before with a probability of BEST / n, and is as likely at
    any place among them.
    """
    sums = _sums(count)
    return sums[min(count, round(last))] - sums[min(count, round(first))]
