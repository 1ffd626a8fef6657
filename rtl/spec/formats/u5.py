"""U5: five bits per weight, on the odd grid: 2 code - 31 (llama.cpp's Q5_0, Q5_1, Q5_K).

Four steps share a beat of the codes' fifth bits.
"""

from .format import register
from .nibbles import SixBits
from .planes import OddGrid


__all__ = ["U5"]


@register
class U5(OddGrid, SixBits):
    code_bits, high_bits = 5, 1
