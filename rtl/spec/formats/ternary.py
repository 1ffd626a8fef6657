"""TERNARY: weights -1, 0 and 1 (BitNet b1.58), five trits to a byte. No scale but the row's.

A beat has a group of 2 N rows, 8 bytes each, in a gear of four beats for five steps. Byte j of a
row is five digits, trit + 1, in base 3, the first one highest: elements 4 j to 4 j + 3, and, in
beat i of four, element 4 j + i of the fifth step; value * 256 / 243, rounded up.
"""

import numpy as np

from ..numbers import GROUP
from .dense import Dense
from .format import Verilog, register
from .gear import runs
from .nibbles import NIBBLE


__all__ = ["TERNARY"]


TRITS = 5  # of a byte
WEIGHTS = 3 ** np.arange(TRITS)[::-1]  # of its digits


def packed(digits):
    """Bytes of five digits 0, 1, 2 each: such that times 3, the carry out of 8 bits is a digit."""
    value = digits.astype(np.int32) @ WEIGHTS
    return ((256 * value + 242) // 243).astype(np.uint8)


def unpacked(trits):
    """Undo :func:`packed`."""
    rest, digits = trits.astype(np.int32), []
    for _ in range(TRITS):
        digits.append(rest * 3 >> 8)
        rest = rest * 3 & 255
    return np.stack(digits, -1).astype(np.uint8)


@register
class TERNARY(Dense):
    low, high = -1, 1
    step_rows, gear, aside = 2, TRITS, True
    expands = True
    # Bits: not negative, positive.
    verilog = Verilog(2, GROUP, "q - 1", "int'(codes[64 * r + k]) + int'(codes[64 * r + 32 + k])")
    verilog_expanded = Verilog(1, GROUP, "q", f"int'($signed({NIBBLE}))")

    def code_bytes(self, codes):
        own, carried, carriers = runs(codes.shape[-2], self.gear)
        digits = (codes.view(np.int8) + 1).astype(np.uint8).reshape(*codes.shape[:-1], 8, 4)
        beats = np.zeros((*codes.shape[:-2], len(own), 8, TRITS), np.uint8)
        beats[..., :4] = digits[..., own, :, :]
        spare = beats[..., 4]
        spare[..., carriers, :] = digits[..., carried, :, :].swapaxes(-1, -2)
        return packed(beats)

    def step_bytes(self, codes):
        """Two planes: not negative, positive."""
        trits = codes.view(np.int8)
        return np.packbits(np.stack([trits >= 0, trits > 0], 1), -1, bitorder="little").reshape(
            len(codes), -1
        )

    def expanded_bytes(self, codes):
        """A slice of a step as a core takes it that has no planes: nibbles, in the places of
        U4's.
        """
        nibbles = codes & 15
        return nibbles[:, :16] | nibbles[:, 16:] << 4

    def codes_of(self, beats, groups):
        own, carried, carriers = runs(groups, self.gear)
        digits = unpacked(beats)
        codes = np.zeros((*beats.shape[:-2], groups, GROUP), np.uint8)
        codes[..., own, :] = digits[..., :4].reshape(*beats.shape[:-1], GROUP)
        last = digits[..., 4][..., carriers, :].swapaxes(-1, -2)
        codes[..., carried, :] = last.reshape(*last.shape[:-2], GROUP)
        return codes - 1
