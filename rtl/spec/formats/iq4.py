"""IQ4: four bits choose one of 16 integers of a byte, with signed scales (llama.cpp's IQ4_NL and
IQ4_XS).

A beat becomes two steps of S8: its low nibbles, then its high ones.
"""

from ..isa import WeightFormat
from .format import register
from .nibbles import CodeBook


__all__ = ["IQ4"]


@register
class IQ4(CodeBook):
    book = (-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113)
    parts, signed_scale = ("scale",), True

    @property
    def step_format(self):
        """S8."""
        return WeightFormat.S8
