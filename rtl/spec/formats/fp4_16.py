"""FP4_16: FP4 in groups of 16 (NVFP4)."""

from .format import register
from .fp4 import E2M1
from .nibbles import CodeBook, SixBits


__all__ = ["FP4_16"]


@register
class FP4_16(CodeBook, SixBits):
    book = E2M1
    group, parts = 16, ("scale", "upper")
