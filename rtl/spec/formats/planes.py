"""Odd grids: unsigned codes of few bits, with a scale and a centre for each group.

An integer weight is (2 * code - (2**bits - 1)) * scale + (centre << centre_shift). The odd grid
is the symmetric remapping of LUT Tensor Core; with the centre of a group rather than its minimum,
eight bits carry the zero point as finely as the code's own steps need.
"""

import numpy as np

from .dense import Dense


__all__ = ["OddGrid", "BitPlanes", "planes", "from_planes"]


def planes(codes, bits):
    """Bits of each code, packed: (..., 32) codes to (..., bits, 4) bytes."""
    split = codes[..., None, :] >> np.arange(bits, dtype=np.uint8)[:, None] & 1
    return np.packbits(split.astype(np.uint8), -1, bitorder="little")


def from_planes(packed):
    """Undo :func:`planes`."""
    bits = np.unpackbits(packed, axis=-1, bitorder="little")
    return (bits << np.arange(bits.shape[-2], dtype=np.uint8)[:, None]).sum(-2, dtype=np.uint8)


class OddGrid(Dense):
    """A format of unsigned codes of `code_bits` bits, on the odd grid."""

    parts = ("scale", "centre")
    low = 0

    @property
    def high(self):
        """Greatest code."""
        return (1 << self.code_bits) - 1

    def grid(self, codes):
        """Odd numbers, int32, symmetric about zero."""
        return 2 * codes.astype(np.int32) - self.high


class BitPlanes(OddGrid):
    """A row's codes of a group as planes: bit 0 of the 32 codes, then bit 1, and so on."""

    def code_bytes(self, codes):
        split = planes(codes, self.code_bits)
        return split.reshape(*split.shape[:-2], -1)

    def codes_of(self, beats, groups):
        return from_planes(beats.reshape(*beats.shape[:-1], -1, 4))
