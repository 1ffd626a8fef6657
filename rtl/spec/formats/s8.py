"""S8: a signed byte per weight, code * scale.

A beat has half a group of N rows: elements 0-15, then 16-31.
"""

from ..numbers import GROUP
from .dense import Dense
from .format import Verilog, register


__all__ = ["S8"]


@register
class S8(Dense):
    code_bits, steps_per_group = 8, 2
    low, high = -128, 127
    parts = ("scale",)
    embeds = True
    verilog = Verilog(1, GROUP // 2, "q", "int'($signed(codes[128 * r + 8 * k +: 8]))")

    def code_bytes(self, codes):
        return codes.reshape(*codes.shape[:-2], -1, GROUP // 2)

    def step_bytes(self, codes):
        return codes

    def codes_of(self, beats, groups):
        return beats.reshape(*beats.shape[:-2], groups, GROUP)
