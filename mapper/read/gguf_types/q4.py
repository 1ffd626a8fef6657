"""Q4_0, Q4_1: 4-bit codes in blocks of 32, with a half-float scale, and a minimum or none."""

from rtl.spec.isa import WeightFormat

from .block_type import Codes, block_type, fields, half


def codes(raw):
    """Codes of 16 bytes a block: low nibbles, then high ones."""
    return fields(raw, 4, 16).reshape(len(raw), -1)


@block_type(2, elements=32, size=18, format=WeightFormat.U4)
def q4_0(blocks):
    """d * (code - 8). Products of half floats and codes are exact, so m = -8 d is it, too."""
    d = half(blocks, 0)
    return Codes(format=WeightFormat.U4, codes=codes(blocks[..., 2:]), d=d, m=-8 * d)


@block_type(3, elements=32, size=20, format=WeightFormat.U4)
def q4_1(blocks):
    """d * code + m."""
    d, m = half(blocks, 0), half(blocks, 2)
    return Codes(format=WeightFormat.U4, codes=codes(blocks[..., 4:]), d=d, m=m)
