"""S6: signed integers of six bits in groups of 16, with signed scales (llama.cpp's Q6_K).

Two steps share a beat of the codes' high bits.
"""

import numpy as np

from .format import register
from .nibbles import SixBits


__all__ = ["S6"]


@register
class S6(SixBits):
    code_bits, high_bits = 6, 2
    low, high = -32, 31
    group, parts, signed_scale = 16, ("scale", "upper"), True

    def high_bytes(self, codes):
        return super().high_bytes(codes & 63)

    def with_high(self, codes, high):
        whole = super().with_high(codes, high)
        return (whole << 2).view(np.int8).__rshift__(2).view(np.uint8)  # with their signs
