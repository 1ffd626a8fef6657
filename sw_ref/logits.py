"""What a host makes of logits that leave the machine."""

import numpy as np


__all__ = ["capped"]


def capped(logits, cap):
    """cap * tanh(logits / cap), float32; the logits where there is no cap, 0.

    It changes no order but that of equal ones, so the machine's search for the best needs none.
    """
    if not cap:
        return logits
    return (cap * np.tanh(np.asarray(logits, np.float64) / cap)).astype(np.float32)
