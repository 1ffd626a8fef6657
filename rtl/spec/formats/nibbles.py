"""Nibbles: codes of four bits in the places of U4's, and of what has more, the rest beside them.

Steps of :class:`SixBits` come to a core as signed integers: of element k the low four bits in the
place of U4's nibble, the high two in bits 2 k and 2 k + 1 of the row's `high`.
"""

import numpy as np

from ..numbers import GROUP
from .dense import Dense
from .format import Verilog


__all__ = ["NIBBLE", "HIGH", "Nibbles", "SixBits", "CodeBook", "fields", "of_fields"]


NIBBLE = "codes[128 * r + 8 * (k % 16) + 4 * (k / 16) +: 4]"  # of element k
HIGH = "high[64 * r + 2 * k +: 2]"  # and its bits beyond


def fields(values, bits):
    """Pack fields of 1 or 2 bits, low ones first: uint8 (..., 32) to (..., 4 * bits) bytes."""
    split = (values & (1 << bits) - 1).reshape(*values.shape[:-1], -1, 8 // bits)
    packed = split[..., 0].copy()
    for n in range(1, 8 // bits):
        packed |= split[..., n] << bits * n
    return packed


def of_fields(packed, bits):
    """Undo :func:`fields`."""
    split = np.unpackbits(packed, axis=-1, bitorder="little")
    split = split.reshape(*packed.shape[:-1], -1, bits)
    return (split << np.arange(bits, dtype=np.uint8)).sum(-1, dtype=np.uint8)


class Nibbles(Dense):
    """A beat has a group of N rows, 16 bytes each: element k low, 16 + k high."""

    embeds = True

    def code_bytes(self, codes):
        low = codes & 15
        return low[..., :16] | low[..., 16:] << 4

    def codes_of(self, beats, groups):
        return np.concatenate([beats & 15, beats >> 4], -1)

    def high_bytes(self, codes):
        return fields(codes >> 4, self.high_bits)

    def with_high(self, codes, high):
        return codes | of_fields(high, self.high_bits) << 4


class SixBits(Nibbles):
    """A format whose steps come to a core as integers of six bits."""

    verilog = Verilog(1, GROUP, "q", f"int'($signed({{{HIGH}, {NIBBLE}}}))")

    def _integers(self, codes):
        return self.grid(codes.view(self.dtype)).astype(np.uint8) & 63

    def step_bytes(self, codes):
        return Nibbles.code_bytes(self, self._integers(codes))

    def step_high(self, codes):
        return fields(self._integers(codes) >> 4, 2)


class CodeBook(Nibbles):
    """A code names one of 16 integers, its :attr:`book`.

    Attributes
    ----------
    book : tuple of :class:`int`
        In the order of codes. Where +0 and -0 have a code each, both are 0.
    """

    book: tuple[int, ...]
    low, high, code_bits = 0, 15, 4

    def grid(self, codes):
        """The book's integers."""
        return np.array(self.book, np.int32)[codes]
