"""Q8_0: 8-bit codes in blocks of 32 with a half-float scale."""

import numpy as np

from rtl.spec.isa import WeightFormat

from .block_type import Codes, block_type, half


@block_type(8, elements=32, size=34)
def q8_0(blocks):
    codes = np.ascontiguousarray(blocks[..., 2:]).view(np.int8).reshape(len(blocks), -1)
    return Codes(format=WeightFormat.S8, codes=codes, d=half(blocks, 0))
