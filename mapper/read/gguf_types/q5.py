"""Q5_0, Q5_1: 5-bit codes in blocks of 32, their fifth bits apart from the others."""

from rtl.spec.isa import WeightFormat

from .block_type import Codes, block_type, fields, half


def codes(raw):
    """Codes (rows, K) of 4 bytes of fifth bits and 16 of nibbles."""
    return (fields(raw[..., 4:], 4, 16) | fields(raw[..., :4], 1, 1) << 4).reshape(len(raw), -1)


@block_type(6, elements=32, size=22, format=WeightFormat.U5)
def q5_0(blocks):
    """d * (code - 16). Products of half floats and codes are exact, so m = -16 d is it, too."""
    d = half(blocks, 0)
    return Codes(format=WeightFormat.U5, codes=codes(blocks[..., 2:]), d=d, m=-16 * d)


@block_type(7, elements=32, size=24, format=WeightFormat.U5)
def q5_1(blocks):
    """d * code + m."""
    d, m = half(blocks, 0), half(blocks, 2)
    return Codes(format=WeightFormat.U5, codes=codes(blocks[..., 4:]), d=d, m=m)
