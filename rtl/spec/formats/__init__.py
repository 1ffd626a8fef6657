"""Packed weight formats: how a matrix lies in DRAM, in the order in which the core eats it.

Each format is a class in a file of this folder (:class:`~.format.Format` says what it must have):

=======  ====  ======================================  ==========  ===============================
format   rows  codes of a row                          parts       beats of a group's codes
=======  ====  ======================================  ==========  ===============================
U1       4 N   4 bytes: the 32 codes                   s, c        1
U2       2 N   8 bytes: bits 0, 1 of the 32 codes      s, c        1
U3       N     12 bytes: bits 0, 1, 2 of the 32 codes  s, c        3/4
U4       N     16 bytes: element k low, 16 + k high    s, c        1
U5       N     the same, and 4 bytes of fifth bits     s, c        1 1/4
S6       N     the same, and 8 bytes of two bits more  s, upper    1 1/2
FP4      N     those of U4, of a book of E2M1          s           1
FP4_16   N     the same                                s, upper    1
IQ4      N     those of U4, of a book of bytes         s           1
S8       N     16 bytes: elements 0-15, then 16-31     s           2
TERNARY  2 N   8 bytes of trits                        none        4/5
SPARSE4  16 N  non-zero nibbles and their places       none        as it has weights that are not 0
SPARSE8  16 N  non-zero bytes and their places         none        as it has weights that are not 0
=======  ====  ======================================  ==========  ===============================

Parts are bytes of a group of 32: a scale (s), a centre (c), and the scale of the group's upper half
where groups have 16 elements. Those of a row and group take 16 bits of a beat, or 8.

Dense formats are blocks of rows (:mod:`~.dense`), sparse ones stripes (:mod:`~.stripes`). To add
one: a member of :class:`~rtl.spec.isa.WeightFormat`, which gives it its number in descriptors, and
a file here with a class of that name. `tests/rtl/spec/test_formats.py` finds it.
"""

from importlib import import_module
from pkgutil import iter_modules

import numpy as np

from ..isa import WeightFormat
from ..numbers import TILES
from .format import FORMATS, Format, Verilog, register


__all__ = [
    "TILES",
    "FORMATS",
    "Format",
    "Verilog",
    "WeightFormat",
    "ROW_SCALED",
    "SPARSE",
    "SPARSE_BY_BITS",
    "register",
    "grid",
    "integers",
    "sum_bits",
    "block_beats",
    "stream_units",
    "pack",
    "unpack",
]


for _module in iter_modules(__path__):
    import_module(f".{_module.name}", __name__)
_ordered = sorted(FORMATS.items(), key=lambda item: item[0].value)
FORMATS.clear()
FORMATS.update(_ordered)

SPARSE = frozenset(fmt for fmt, its in FORMATS.items() if its.sparse)
ROW_SCALED = frozenset(fmt for fmt, its in FORMATS.items() if not its.scaled)
SPARSE_BY_BITS = {FORMATS[fmt].code_bits: fmt for fmt in FORMATS if fmt in SPARSE}


# By the member of WeightFormat that an instruction, an image or a configuration names.


def grid(fmt, codes):
    """See :meth:`.Format.grid`."""
    return FORMATS[fmt].grid(codes)


def integers(fmt, codes, scale, centre, centre_shift, dtype=np.float64):
    """See :meth:`.Format.integers`."""
    return FORMATS[fmt].integers(codes, scale, centre, centre_shift, dtype)


def sum_bits(fmt, groups, centre_shift, window):
    """See :meth:`.Format.sum_bits`."""
    return FORMATS[fmt].sum_bits(groups, centre_shift, window)


def block_beats(fmt, groups, word_bytes):
    """See :meth:`.Dense.block_beats`."""
    return FORMATS[fmt].block_beats(groups, word_bytes)


def stream_units(fmt, rows, groups, word_bytes, data=None):
    """See :meth:`.Format.stream_units`."""
    return FORMATS[fmt].stream_units(rows, groups, word_bytes, data)


def pack(fmt, codes, scale, centre, row_scale, word_bytes, patterns=None):
    """See :meth:`.Format.pack`."""
    return FORMATS[fmt].pack(codes, scale, centre, row_scale, word_bytes, patterns)


def unpack(fmt, data, rows, groups, word_bytes):
    """See :meth:`.Format.unpack`."""
    return FORMATS[fmt].unpack(data, rows, groups, word_bytes)
