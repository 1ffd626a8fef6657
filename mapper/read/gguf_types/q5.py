"""Q5_0, Q5_1: 5-bit codes in blocks of 32, their fifth bits apart from the others."""

import numpy as np

from rtl.spec.isa import WeightFormat

from .block_type import Codes, block_type, fields, half


def codes(raw):
    """Codes (rows, blocks, 32) of 4 bytes of fifth bits and 16 of nibbles."""
    return fields(raw[..., 4:], 4, 16) | fields(raw[..., :4], 1, 1) << 4


@block_type(6, elements=32, size=22)
def q5_0(blocks):
    """d * (code - 16): signed codes of 8 bits have room for it."""
    signed = codes(blocks[..., 2:]).astype(np.int8) - np.int8(16)
    return Codes(format=WeightFormat.S8, codes=signed.reshape(len(blocks), -1), d=half(blocks, 0))


@block_type(7, elements=32, size=24)
def q5_1(blocks):
    """d * code + m, rounded: the machine has no 5-bit codes with a minimum."""
    d, m = half(blocks, 0)[..., None], half(blocks, 2)[..., None]
    return (d * codes(blocks[..., 4:]).astype(np.float32) + m).reshape(len(blocks), -1)
