"""TQ1_0, TQ2_0: weights -1, 0, 1 times a half float, in blocks of 256.

Writers of models that were trained so (BitNet b1.58) give all blocks of a row one scale, which is
the machine's own form. A block of zeros has the scale 0.
"""

import numpy as np

from rtl.spec.config import GROUP
from rtl.spec.isa import WeightFormat

from .block_type import Codes, block_type, fields, half


SPAN = 1 << 20  # weights that are looked at at a time
POWERS = np.array([1, 3, 9, 27, 81], np.uint8)


def by_row(codes, d):
    """Whether rows of codes, -1 to 2, of which no writer makes 2, (rows, blocks, 256), have one
    scale each, of those of blocks (rows, blocks)."""
    return bool(((d == of_row(d)) | (d == 0)).all() and codes.max(initial=0) <= 1)


def of_row(d):
    """The scale of each row, (rows, 1): NaN, if there is one."""
    return np.take_along_axis(d, np.abs(d).argmax(1, keepdims=True), 1)


def format_of(decode):
    """What tensors become of which `decode` makes the codes and scales of blocks."""

    def format(blocks):
        step = max(1, SPAN // (256 * blocks.shape[1]))
        rows = (blocks[at : at + step] for at in range(0, len(blocks), step))
        ternary = all(by_row(*decode(its)) for its in rows)
        return WeightFormat.TERNARY if ternary else WeightFormat.S8

    return format


def kept(codes, d, format):
    """Codes (rows, blocks, 256) with scales of rows or of blocks."""
    if format == WeightFormat.TERNARY:
        codes, d = codes * (d != 0)[..., None], of_row(d)
    else:
        d = np.repeat(d, codes.shape[-1] // GROUP, 1)
    return Codes(format=format, codes=codes.reshape(len(codes), -1), d=d)


def digits(raw, count):
    """Ternary digits, the highest first, of bytes that are fractions: (rows, blocks, n) to (rows,
    blocks, count * n), the first digits of all bytes first."""
    turned = raw[..., None, :] * POWERS[:count, None]  # modulo 256
    return (turned.astype(np.uint16) * 3 >> 8).astype(np.int8).reshape(*raw.shape[:-1], -1)


def tq1_0_codes(blocks):
    """Five digits in each of 32 bytes, then of 16; four in each of 4 bytes; d."""
    parts = [(blocks[..., :32], 5), (blocks[..., 32:48], 5), (blocks[..., 48:52], 4)]
    codes = np.concatenate([digits(raw, count) for raw, count in parts], -1) - np.int8(1)
    return codes, half(blocks, 52)


def tq2_0_codes(blocks):
    """Codes of 2 bits, less 1; d."""
    return fields(blocks[..., :64], 2, 32).astype(np.int8) - np.int8(1), half(blocks, 64)


@block_type(34, elements=256, size=54, format=format_of(tq1_0_codes))
def tq1_0(blocks, format):
    return kept(*tq1_0_codes(blocks), format)


@block_type(35, elements=256, size=66, format=format_of(tq2_0_codes))
def tq2_0(blocks, format):
    return kept(*tq2_0_codes(blocks), format)
