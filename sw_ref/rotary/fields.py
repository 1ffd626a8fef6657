"""What a model's files say of a rotary embedding, checked: numbers, and lists of them."""

import math
from typing import Any

import numpy as np


__all__ = ["divisors", "mscale", "number", "number_or_zero"]


MISSING: Any = object()
MOST = 1e15  # so that everything stays finite in fp32


def number(fields, key, default=MISSING, least=0.0):
    """A number above `least`, and not above 1e15; `default` for a key that is missing or null."""
    value = fields.get(key)
    if value is None and default is not MISSING:
        return default
    if isinstance(value, (bool, np.bool_)) or not isinstance(value, (int, float, np.number)):
        raise ValueError(f"{key!r} must be a number, not {value!r:.60}")
    if not least < value <= MOST:
        raise ValueError(
            f"{key!r} must be above {least:g}, and at most {MOST:g}, not {value!r:.60}"
        )
    return float(value)


def number_or_zero(fields, key):
    """A positive number; 0.0 where it is missing, null, or 0, which says nothing."""
    return number({key: fields.get(key) or None}, key, 0.0)


def divisors(values, key, dim):
    """Divisors of the frequencies, of a list or an array: dim / 2 numbers above 1e-6."""
    count = len(values) if isinstance(values, (list, tuple, np.ndarray)) else None
    if count != dim // 2:
        given = f"{values!r:.60}" if count is None else str(count)
        raise ValueError(f"{key!r} must be {dim // 2} numbers, one per frequency, not {given}")
    return tuple(number({key: value}, key, least=1e-6) for value in values)


def mscale(factor, weight=1.0):
    """YaRN's attention factor (arXiv:2309.00071, section 3.4)."""
    return 0.1 * weight * math.log(factor) + 1.0 if factor > 1 else 1.0
