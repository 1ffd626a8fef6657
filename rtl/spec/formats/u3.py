"""U3: three bits per weight, in a gear of three beats for four steps.

A beat has a group of N rows, three planes of 4 bytes each. Bytes 12-15 of a row are bit i, in beat
i of three, of the codes of the fourth step.
"""

import numpy as np

from ..numbers import GROUP
from .format import Verilog, register
from .gear import runs
from .planes import OddGrid, from_planes, planes


__all__ = ["U3"]


@register
class U3(OddGrid):
    code_bits, gear = 3, 4
    verilog = Verilog(
        1,
        GROUP,
        "2 * q - 7",
        "int'({codes[128 * r + 64 + k], codes[128 * r + 32 + k], codes[128 * r + k]})",
    )

    def code_bytes(self, codes):
        own, carried, carriers = runs(codes.shape[-2], self.gear)
        split = planes(codes, self.code_bits)
        beats = np.zeros((*codes.shape[:-2], len(own), 4, 4), np.uint8)
        beats[..., :3, :] = split[..., own, :, :]
        beats[..., carriers, 3, :] = split[..., carried, :, :]
        return beats.reshape(*beats.shape[:-2], 16)

    def step_bytes(self, codes):
        """Three planes; what is in the bytes behind them does not matter."""
        return np.pad(planes(codes, self.code_bits).reshape(len(codes), -1), [(0, 0), (0, 4)])

    def codes_of(self, beats, groups):
        own, carried, carriers = runs(groups, self.gear)
        split = beats.reshape(*beats.shape[:-1], 4, 4)
        codes = np.zeros((*beats.shape[:-2], groups, GROUP), np.uint8)
        codes[..., own, :] = from_planes(split[..., :3, :])
        codes[..., carried, :] = from_planes(split[..., carriers, 3, :])
        return codes
