"""Q1_0: a sign for each weight, in blocks of 128 with a half-float scale."""

import numpy as np

from rtl.spec.config import GROUP
from rtl.spec.isa import WeightFormat

from .block_type import Codes, block_type, fields, half


@block_type(41, elements=128, size=18, format=WeightFormat.U1)
def q1_0(blocks):
    """d where the bit is set, else -d: 2 d * bit - d, exactly."""
    d = np.repeat(half(blocks, 0), 128 // GROUP, 1)
    codes = fields(blocks[..., 2:], 1, 1).reshape(len(blocks), -1)
    return Codes(format=WeightFormat.U1, codes=codes, d=2 * d, m=-d)
