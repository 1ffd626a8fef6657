"""U4: four bits per weight, on the odd grid of :class:`~.planes.OddGrid`: 2 code - 15.

A beat has a group of N rows, 16 bytes each: element k low, 16 + k high.
"""

import numpy as np

from ..numbers import GROUP
from .format import Verilog, register
from .planes import OddGrid


__all__ = ["NIBBLE", "U4"]


NIBBLE = "codes[128 * r + 8 * (k % 16) + 4 * (k / 16) +: 4]"  # of element k


@register
class U4(OddGrid):
    code_bits = 4
    verilog = Verilog(1, GROUP, "2 * q - 15", f"int'({NIBBLE})")

    def code_bytes(self, codes):
        return codes[..., :16] | codes[..., 16:] << 4

    def codes_of(self, beats, groups):
        return np.concatenate([beats & 15, beats >> 4], -1)
