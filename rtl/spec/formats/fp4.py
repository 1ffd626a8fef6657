"""FP4: floats of four bits, E2M1, in groups of 32 (MXFP4 of the OCP Microscaling specification).

The book has twice their values: they are integers then.
"""

from .format import register
from .nibbles import CodeBook, SixBits


__all__ = ["E2M1", "FP4"]


E2M1 = (0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12)


@register
class FP4(CodeBook, SixBits):
    book = E2M1
    parts = ("scale",)
