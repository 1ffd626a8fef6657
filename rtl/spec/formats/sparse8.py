"""SPARSE8: signed codes of 8 bits in stripes, blocks of zeros left out. No scale but the row's.

:mod:`~.stripes` has how they are packed.
"""

from .format import register
from .stripes import Stripes


__all__ = ["SPARSE8"]


@register
class SPARSE8(Stripes):
    code_bits = 8
