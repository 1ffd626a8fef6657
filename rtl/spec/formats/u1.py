"""U1: a bit per weight. A beat has a group of 4 N rows, 4 bytes each."""

from ..numbers import GROUP
from .format import Verilog, register
from .planes import BitPlanes


__all__ = ["U1"]


@register
class U1(BitPlanes):
    code_bits, step_rows = 1, 4
    verilog = Verilog(4, GROUP, "2 * q - 1", "int'(codes[32 * r + k])")
