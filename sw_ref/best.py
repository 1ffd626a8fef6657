"""Search for the best logits, and their order."""

import numpy as np

from rtl.spec.csr import BEST

from .numerics import MAX


__all__ = ["PADDING", "best"]


PADDING = 0, -MAX  # id and logit of the places that are left over


def best(logits):
    """The `BEST` largest of finite logits as (id, fp32 logit), largest first.

    Equal ones are in the order of their ids, also where only some of them find a place. -0 and +0
    are equal, and keep their signs. Where there are fewer than `BEST`, :data:`PADDING` follows:
    that is no token, and a host takes no more entries than there are logits.
    """
    order = -logits
    last = np.partition(order, min(BEST, len(order)) - 1)[min(BEST, len(order)) - 1]
    ids = np.flatnonzero(order <= last)
    ids = ids[np.argsort(order[ids], kind="stable")][:BEST]
    return [(int(n), logits[n]) for n in ids] + [PADDING] * (BEST - len(ids))
