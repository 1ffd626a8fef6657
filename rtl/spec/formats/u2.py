"""U2: two bits per weight. A beat has a group of 2 N rows, two planes of 4 bytes each."""

from ..numbers import GROUP
from .format import Verilog, register
from .planes import BitPlanes


__all__ = ["U2"]


@register
class U2(BitPlanes):
    code_bits, step_rows = 2, 2
    verilog = Verilog(2, GROUP, "2 * q - 3", "int'({codes[64 * r + 32 + k], codes[64 * r + k]})")
