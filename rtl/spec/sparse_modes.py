"""Modes of sparse blocks: how many non-zero weights of every 16 they hold (FlightLLM).

:mod:`rtl.spec.formats.stripes` has the formats that are made of such blocks.
"""

import enum


__all__ = ["BLOCK", "PATTERNS", "Mode", "SLOTS", "INDEX_BITS", "MODES"]


BLOCK = 16  # Elements along K, and rows of a lane, that share a mode.


class Mode(enum.IntEnum):
    """How a block's non-zero weights are stored."""

    ZERO = 0
    N2 = 1  # up to 2 of 16
    N4 = 2  # up to 4 of 16
    N8 = 3  # up to 8 of 16
    DENSE = 4  # all 16
    PAIRS = 5  # up to 2 of every 4


SLOTS = {Mode.ZERO: 0, Mode.N2: 2, Mode.N4: 4, Mode.N8: 8, Mode.DENSE: 16, Mode.PAIRS: 8}
INDEX_BITS = {Mode.ZERO: 0, Mode.N2: 4, Mode.N4: 4, Mode.N8: 4, Mode.DENSE: 0, Mode.PAIRS: 2}
MODES = {"2:16": Mode.N2, "4:16": Mode.N4, "8:16": Mode.N8, "2:4": Mode.PAIRS}  # by pattern
# Non-zero weights of every so many that a block of a sparse matrix may be limited to; blocks of
# zeros and dense blocks are always among them.
PATTERNS = tuple(MODES)
