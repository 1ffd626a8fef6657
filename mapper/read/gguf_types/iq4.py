"""IQ4_NL, IQ4_XS: nibbles are places in a book of 16 integers, which fit bytes."""

import numpy as np

from rtl.spec.isa import WeightFormat

from .block_type import Codes, block_type, fields, half


def kept(raw, d):
    """Codes of nibbles (rows, blocks, n) with a scale for each 32."""
    codes = fields(raw, 4, 16).reshape(len(raw), -1)
    return Codes(format=WeightFormat.IQ4, codes=codes, d=d.reshape(len(raw), -1))


@block_type(20, elements=32, size=18, format=WeightFormat.IQ4)
def iq4_nl(blocks):
    """A half-float scale for each 32."""
    return kept(blocks[..., 2:], half(blocks, 0))


@block_type(23, elements=256, size=136, format=WeightFormat.IQ4)
def iq4_xs(blocks):
    """d; scales, less 32: two upper bits each, then nibbles; codes."""
    scale = fields(blocks[..., 4:8], 4, 1) | fields(blocks[..., 2:4], 2, 1) << 4
    scale = (scale.astype(np.int8) - np.int8(32)).astype(np.float32)
    return kept(blocks[..., 8:], half(blocks, 0)[..., None] * scale)
