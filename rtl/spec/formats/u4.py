"""U4: four bits per weight, on the odd grid of :class:`~.planes.OddGrid`: 2 code - 15."""

from ..numbers import GROUP
from .format import Verilog, register
from .nibbles import NIBBLE, Nibbles
from .planes import OddGrid


__all__ = ["U4"]


@register
class U4(OddGrid, Nibbles):
    code_bits = 4
    verilog = Verilog(1, GROUP, "2 * q - 15", f"int'({NIBBLE})")
