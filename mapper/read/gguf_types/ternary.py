"""TQ1_0, TQ2_0: weights -1, 0, 1 times a half float, in blocks of 256.

Writers of models that were trained so (BitNet b1.58) give all blocks of a row one scale, which is
the machine's own form. A block of zeros has the scale 0.
"""

import numpy as np

from rtl.spec.config import GROUP
from rtl.spec.isa import WeightFormat

from .block_type import Codes, block_type, fields, half


POWERS = np.array([1, 3, 9, 27, 81], np.uint8)


def kept(codes, d):
    """Codes (rows, blocks, 256), -1 to 2, of which no writer makes 2, with scales (rows,
    blocks)."""
    rows = len(codes)
    row = np.take_along_axis(d, np.abs(d).argmax(1, keepdims=True), 1)  # NaN, if there is one
    if ((d == row) | (d == 0)).all() and codes.max(initial=0) <= 1:
        codes = codes * (d != 0)[..., None]
        return Codes(format=WeightFormat.TERNARY, codes=codes.reshape(rows, -1), d=row)
    groups = np.repeat(d, codes.shape[-1] // GROUP, 1)
    return Codes(format=WeightFormat.S8, codes=codes.reshape(rows, -1), d=groups)


def digits(raw, count):
    """Ternary digits, the highest first, of bytes that are fractions: (rows, blocks, n) to (rows,
    blocks, count * n), the first digits of all bytes first."""
    turned = raw[..., None, :] * POWERS[:count, None]  # modulo 256
    return (turned.astype(np.uint16) * 3 >> 8).astype(np.int8).reshape(*raw.shape[:-1], -1)


@block_type(34, elements=256, size=54, format=None)
def tq1_0(blocks):
    """Five digits in each of 32 bytes, then of 16; four in each of 4 bytes; d."""
    parts = [(blocks[..., :32], 5), (blocks[..., 32:48], 5), (blocks[..., 48:52], 4)]
    codes = np.concatenate([digits(raw, count) for raw, count in parts], -1) - np.int8(1)
    return kept(codes, half(blocks, 52))


@block_type(35, elements=256, size=66, format=None)
def tq2_0(blocks):
    """Codes of 2 bits, less 1; d."""
    codes = fields(blocks[..., :64], 2, 32).astype(np.int8) - np.int8(1)
    return kept(codes, half(blocks, 64))
