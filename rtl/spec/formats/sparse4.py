"""SPARSE4: signed codes of 4 bits in stripes, blocks of zeros left out. No scale but the row's.

:mod:`~.stripes` has how they are packed.
"""

from .format import register
from .stripes import Stripes


__all__ = ["SPARSE4"]


@register
class SPARSE4(Stripes):
    code_bits = 4
