"""Descriptors: the unit of DRAM in front of each matrix of the weight stream says what it is.

So layers whose matrices differ in their formats share a program. A MATMUL names rows and groups,
which its descriptor repeats: one that contradicts it is a fault, not a wrong product. Of the unit,
the first bits are the fields of :data:`Descriptor.layout`; all others are zeros, and reserved.
"""

import enum
from dataclasses import dataclass
from typing import ClassVar

from amaranth.lib import data

from .formats import pack, stream_units
from .isa import WeightFormat
from .limits import CENTRE_BITS, GROUP_BITS, ROW_BITS
from .numbers import GROUP, UNIT_BYTES


__all__ = [
    "MAGIC",
    "INFO_FORMAT_BITS",
    "Contradiction",
    "Descriptor",
    "fields_of",
    "contradictions",
    "fault_info",
    "described",
    "matrix_units",
    "markdown",
]


MAGIC = 0x4D48  # "HM", little endian

INFO_FORMAT_BITS = 8  # of a fault's info, which the format has; above them the contradictions


class Contradiction(enum.IntFlag):
    """What of a descriptor contradicts its MATMUL, or the configuration."""

    MAGIC = 1  # It begins with other bits: the stream has no matrix there.
    FORMAT = 2  # The configuration does not take the format.
    ROWS = 4  # The MATMUL has others.
    GROUPS = 8  # The MATMUL has others.
    RESERVED = 16  # Bits that no field has are not zero.


@dataclass(frozen=True)
class Descriptor:
    """What a descriptor says of the matrix behind it.

    Parameters
    ----------
    format : :class:`~.isa.WeightFormat`
        Packed format.
    centre : :class:`int`
        Left shift of the group centres, in bits.
    rows, groups : :class:`int`
        Rows, and columns in groups of 32.
    """

    format: WeightFormat
    centre: int
    rows: int
    groups: int

    layout: ClassVar[data.StructLayout] = data.StructLayout(
        {
            "magic": 16,
            "format": WeightFormat,
            "centre": CENTRE_BITS,
            "rows": ROW_BITS,
            "groups": GROUP_BITS,
        }
    )

    def pack(self):
        """The unit of DRAM, as bytes. Raises :exc:`ValueError` for a number that has no place."""
        for name in ("centre", "rows", "groups"):
            value, width = getattr(self, name), self.layout[name].width
            if value not in range(1 << width):
                raise ValueError(f"{name} must fit in {width} bits, not {value!r}")
        word = self.layout.const({"magic": MAGIC, **vars(self)}).as_value().value
        return word.to_bytes(UNIT_BYTES, "little")

    @classmethod
    def unpack(cls, unit):
        """Undo :meth:`pack`. Raises :exc:`ValueError` if `unit`, bytes, is no descriptor."""
        fields, spare = fields_of(unit)
        if len(unit) != UNIT_BYTES or fields.pop("magic") != MAGIC or spare:
            raise ValueError("the weight stream has no descriptor where a matrix should begin")
        return cls(**fields | {"format": WeightFormat(fields["format"])})


def fields_of(unit):
    """Fields of a descriptor by name, and all bits behind them."""
    word, layout = int.from_bytes(bytes(unit), "little"), Descriptor.layout
    fields = {name: word >> field.offset & (1 << field.width) - 1 for name, field in layout}
    return fields, word >> layout.size


def contradictions(unit, rows, groups, formats):
    """The :class:`Contradiction` of a descriptor, `unit` as bytes, to a MATMUL of `rows` and
    `groups` on hardware that takes `formats`.
    """
    fields, spare = fields_of(unit)
    found = {
        Contradiction.MAGIC: fields["magic"] != MAGIC,
        Contradiction.FORMAT: fields["format"] not in {fmt.value for fmt in formats},
        Contradiction.ROWS: fields["rows"] != rows,
        Contradiction.GROUPS: fields["groups"] != groups,
        Contradiction.RESERVED: spare != 0,
    }
    return Contradiction(sum(each for each, is_so in found.items() if is_so))


def fault_info(unit, found):
    """Info of the fault for a descriptor, `unit` as bytes, with these contradictions."""
    return found << INFO_FORMAT_BITS | fields_of(unit)[0]["format"]


def described(fmt, codes, scale, centre, row_scale, centre_shift, word_bytes, patterns=None):
    """A matrix of the weight stream: its descriptor, and behind it what :func:`.formats.pack`
    makes of the same parameters. Returns bytes.
    """
    rows, depth = codes.shape
    packed = pack(fmt, codes, scale, centre, row_scale, word_bytes, patterns)
    return Descriptor(fmt, centre_shift, rows, depth // GROUP).pack() + packed


def matrix_units(fmt, rows, groups, word_bytes, data=None):
    """Units of a matrix of the weight stream. `data` begins with a sparse one, behind its
    descriptor.
    """
    return 1 + stream_units(fmt, rows, groups, word_bytes, data)


def markdown():
    """Yield the lines that `docs/isa.md` has of descriptors."""
    meanings = {
        "magic": f"{MAGIC:#06x}.",
        "format": "`WeightFormat` of the matrix.",
        "centre": "Left shift of the group centres, in bits.",
        "rows": "Rows of the matrix, as MATMUL's.",
        "groups": "Columns of the matrix, in groups of 32, as MATMUL's.",
    }
    yield "| Bits | Field | Meaning |"
    yield "|--|--|--|"
    for name, field in Descriptor.layout:
        yield f"| {field.offset + field.width - 1}:{field.offset} | `{name}` | {meanings[name]} |"
    yield f"| {8 * UNIT_BYTES - 1}:{Descriptor.layout.size} | | Reserved: zeros. |"
    yield ""
