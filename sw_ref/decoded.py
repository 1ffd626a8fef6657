"""Matrix products in formats that are decoded to integers first, block by block."""

import numpy as np

from rtl.spec.formats import FORMATS, WeightFormat
from rtl.spec.numbers import GROUP, TILES

from .blocks import CODES, NIBBLES, block_of_codes, block_of_nibbles, block_of_trits
from .kernels import exact, kernel, largest, product, shifted, value
from .numerics import WINDOW, f32
from .sparse import LANE, ROWS, stripe


__all__ = ["decoded", "decodes"]


@exact
def _dot(weights, activations):
    """Sum of products: integers that stay below 2**52, see :func:`rtl.spec.formats.sum_bits`."""
    total = 0.0
    for i in range(len(weights)):
        total += np.float64(weights[i]) * activations[i]
    return total


@kernel
def _aligned(q, exponents):
    """As :func:`sw_ref.numerics.aligned`: float64 (M, K)."""
    columns, groups = exponents.shape
    values = np.zeros((columns, groups * GROUP))
    for m in range(columns):
        top = largest(exponents[m])
        for g in range(groups):
            shift = WINDOW - (top - exponents[m, g])
            if shift >= 0:
                for i in range(GROUP):
                    values[m, g * GROUP + i] = np.int64(q[m, g, i]) << shift
    return values


def decodes(fmt):
    """Whether there is a kernel for a format: U1 to U3, trits, nibbles, and all that are sparse."""
    return FORMATS[fmt].sparse or fmt in CODES + NIBBLES or fmt == WeightFormat.TERNARY


@kernel
def decoded(
    stream,
    places,
    code_bits,
    sparse,
    nibbles,
    begin,
    end,
    rows,
    word_bytes,
    centre_shift,
    q,
    exponents,
    out,
    stride,
):
    """Do blocks `begin` to `end`, which begin at the bytes `places`, of
    :func:`sw_ref.linear.linear`'s.

    `code_bits` and `sparse` are the format's, of which there are those that :func:`decodes` says;
    `nibbles` are its :class:`~.blocks.Nibbles`.
    """
    columns, groups = exponents.shape
    block_rows = (ROWS if sparse else TILES) * (word_bytes // LANE)
    integers = np.empty((block_rows, groups * GROUP), np.float32)
    activations = _aligned(q, exponents)
    for block in range(begin, end):
        at = places[block]
        if sparse:
            stripe(stream, at, code_bits, word_bytes, integers)
        elif nibbles.parts:
            block_of_nibbles(stream, at, nibbles, word_bytes, centre_shift, integers)
        elif code_bits:
            block_of_codes(stream, at, code_bits, word_bytes, centre_shift, integers)
        else:
            block_of_trits(stream, at, word_bytes, integers)
        row_scales = stream[at : at + 4 * block_rows].view(np.float32)
        for m in range(columns):
            exponent = largest(exponents[m]) - (127 + 6 + WINDOW)
            for n in range(min(block_rows, rows - block * block_rows)):
                scaled = product(f32(_dot(integers[n], activations[m])), value(row_scales[n]))
                out[m * stride + block * block_rows + n] = shifted(scaled, exponent)
