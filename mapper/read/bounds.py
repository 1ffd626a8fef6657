"""Bounds on the numbers that a model file may hold, and how a refusal shows what came instead."""

import numpy as np

from host.errors import UserError


__all__ = ["LARGEST", "LEAST_ROW_SCALE", "brief", "check_values"]


# Largest magnitude of a weight or a gain. Sums and differences of two, which rounding to codes
# needs, stay within fp32; no trained model comes near.
LARGEST = np.float32(2.0**126)

# Least row scale that is not zero. The machine takes subnormal numbers as zero; this leaves room
# for the softmax's factor, which the compiler multiplies into the row scales of Q.
LEAST_ROW_SCALE = np.float32(2.0**-120)


def brief(value, limit=60):
    """A value of a file in one short line."""
    try:
        text = " ".join(repr(value).split())
    except RecursionError:
        text = f"a {type(value).__name__} that is nested too deeply"
    return text if len(text) <= limit else text[: limit - 3] + "..."


def check_values(path, name, values, order=None):
    """Refuse NaN, infinities and magnitudes above `LARGEST` in the values (rows, ...) of a tensor.

    `order` says which rows of the file they are, if not all in turn.
    """
    # Comparisons with NaN are false.
    if values.size == 0 or values.max() <= LARGEST and values.min() >= -LARGEST:
        return
    at = np.argwhere(~(np.abs(values) <= LARGEST))[0]
    row = at[0] if order is None else order[at[0]]
    raise UserError(
        f"{path}: tensor {brief(name)} must be finite, with magnitudes up to "
        f"{LARGEST:.2g}, not {values[tuple(at)]:.3g} in row {row}; get the file again"
    )
