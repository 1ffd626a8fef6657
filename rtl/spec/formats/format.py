"""What a weight format is, and the registry of all that there are."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

from ..isa import WeightFormat
from ..numbers import GROUP, LANE_BYTES, UNIT_BYTES


__all__ = ["FORMATS", "Format", "Verilog", "register", "whole_units"]


FORMATS = {}  # WeightFormat: Format


def register(cls):
    """Decorator: make a class the format of the member of :class:`~rtl.spec.isa.WeightFormat` that
    has its name."""
    if cls.__name__ not in WeightFormat.__members__:
        raise TypeError(f"Format must be named in WeightFormat, not {cls.__name__!r}")
    fmt = WeightFormat[cls.__name__]
    if fmt in FORMATS:
        raise TypeError(f"Format {fmt.name} must be registered once")
    FORMATS[fmt] = cls(fmt)
    return cls


@dataclass(frozen=True)
class Verilog:
    """How Verilog reads a step of N lanes of 128 bits.

    Rows per lane, elements of a row, the integer that code `q` stands for, and the code of row `r`
    and element `k` of the vector `codes`.
    """

    rows: int
    elements: int
    weight: str
    code: str


class Format(ABC):
    """A packed weight format: what its codes stand for, and how they lie in the stream.

    A matrix of any format stands for row_scale[n] * integer[n, k]. Integers stay below 2**15 in
    magnitude (:data:`rtl.spec.limits.INTEGER_BITS`), so that an accumulator holds the sum of as
    many groups as an instruction can name.

    Attributes
    ----------
    fmt : :class:`~rtl.spec.isa.WeightFormat`
        Its number in descriptors and instructions.
    low, high : :class:`int`
        Least and greatest code.
    code_bits : :class:`int`
        Bits of a code that is an integer of bits; 0 where codes are packed otherwise.
    parts : tuple of :class:`str`
        Bytes of 32 elements of a row: ``scale``, and ``centre`` (signed) or the ``upper`` half's
        scale; or none where only rows have scales.
    group : :class:`int`
        Elements that share a scale: 32, or 16 where the upper half of 32 has its own.
    signed_scale : :class:`bool`
        Scales are two's complement, otherwise unsigned.
    sparse : :class:`bool`
        Stripes with blocks of zeros left out (:mod:`~.stripes`), not blocks of whole rows.
    aside : :class:`bool`
        The last step of a gear's run (:mod:`~.gear`) costs no cycle: a part of it passes beside
        each of the others.
    expands : :class:`bool`
        A core that does not take its steps gets them expanded (:mod:`rtl.linear.expand`).
    embeds : :class:`bool`
        Embeddings may be in it: its steps have a slice of rows each, and its groups scales.
    step_format : :class:`~rtl.spec.isa.WeightFormat`
        Format of the steps that it is unpacked to: its own, or one that cores know.
    tile_slices : :class:`int`
        Slices of N rows, N = word_bytes / 16, whose sums are complete at the same time.
    verilog, verilog_expanded : :class:`Verilog` or None
        A step as it comes to a core that takes it, and to one that gets it expanded.
    """

    low: int
    high: int
    tile_slices: int
    code_bits = 0
    parts: tuple[str, ...] = ()
    group = GROUP
    signed_scale = False
    sparse = False
    aside = False
    expands = False
    verilog: Verilog | None = None
    verilog_expanded: Verilog | None = None

    def __init__(self, fmt):
        self.fmt, self.name = fmt, fmt.name

    @property
    def scaled(self):
        """Groups have scales; otherwise only rows do."""
        return "scale" in self.parts

    @property
    def centred(self):
        """Groups have centres."""
        return "centre" in self.parts

    embeds = False

    @property
    def step_format(self):
        """Itself."""
        return self.fmt

    @property
    def unsigned_upper(self):
        """The upper half of a group has a scale, which has no sign."""
        return "upper" in self.parts and not self.signed_scale

    @property
    def scale_dtype(self):
        """Of scales."""
        return np.dtype(np.int8 if self.signed_scale else np.uint8)

    @property
    def largest_scale(self):
        """The largest magnitude that a scale may have."""
        return (128 if self.signed_scale else 255) if self.scaled else 1

    @property
    def dtype(self):
        """Of codes: int8 where they have signs, otherwise uint8."""
        return np.dtype(np.int8 if self.low < 0 else np.uint8)

    @property
    def elements(self):
        """Elements along K of a step."""
        return GROUP

    def step_slices(self, mode=None):
        """Slices of N rows of a step that is taken whole; `mode` is a sparse code beat's."""
        return self.tile_slices

    def tile_rows(self, word_bytes):
        """Rows whose sums are complete at the same time."""
        return self.tile_slices * word_bytes // LANE_BYTES

    def grid(self, codes):
        """Integers, int32, that codes stand for before scale and centre."""
        return codes.astype(np.int32)

    @property
    def every_code(self):
        """All codes, in order."""
        return np.arange(self.low, self.high + 1).astype(self.dtype)

    def nearest(self, numbers):
        """Codes that stand for the integers nearest to `numbers`, of several codes the first."""
        integers, first = np.unique(self.grid(self.every_code), return_index=True)
        edges = (integers[1:] + integers[:-1]) / 2
        return self.every_code[first[np.searchsorted(edges, numbers)]]

    def mirrored(self, codes):
        """Codes that stand for the negative integers, or for the nearest to them."""
        table = np.zeros(256, self.dtype)
        table[self.every_code.view(np.uint8)] = self.nearest(-self.grid(self.every_code))
        return table[codes.view(np.uint8)]

    def bound(self, centre_shift):
        """The largest magnitude of an integer weight."""
        grid = np.abs(self.grid(self.every_code))
        most = int(grid.max()) * self.largest_scale
        return most + (128 << centre_shift if self.centred else 0)

    def largest_sum(self, groups, centre_shift, window):
        """The largest magnitude of a sum over `groups` groups of activations.

        Activations are within -127..127, and each group is shifted left by up to `window`.
        """
        return groups * GROUP * 127 * self.bound(centre_shift) << window

    def sum_bits(self, groups, centre_shift, window):
        """Bits, sign included, that hold every such sum: the proof that an accumulator is wide
        enough."""
        return self.largest_sum(groups, centre_shift, window).bit_length() + 1

    def integers(self, codes, scale, centre, centre_shift, dtype=np.float64):
        """Integer weights (rows, K) of `codes` (rows, K), `scale` (rows, K / :attr:`group`) and
        `centre` (rows, K / 32).

        Scale and centre do not matter where the format has none.
        """
        rows, depth = codes.shape
        values = self.grid(codes)
        if self.scaled:
            values = values.reshape(rows, -1, self.group) * scale.astype(np.int32)[..., None]
        if self.centred:
            values = values + (centre.astype(np.int32) << centre_shift)[..., None]
        return values.reshape(rows, depth).astype(dtype)

    def check(self, codes):
        """Refuse a matrix (rows, K) that has no whole groups."""
        if codes.shape[1] % GROUP:
            raise ValueError(f"K must be a multiple of {GROUP}, not {codes.shape[1]}")

    def pack(self, codes, scale, centre, row_scale, word_bytes, patterns=None):
        """Pack a matrix. Returns bytes, a multiple of `UNIT_BYTES`, see :meth:`beats`."""
        return whole_units(self.beats(codes, scale, centre, row_scale, word_bytes, patterns))

    @abstractmethod
    def rows_apart(self, word_bytes):
        """Rows of which multiples can be packed apart: their beats follow each other."""

    @abstractmethod
    def beats(self, codes, scale, centre, row_scale, word_bytes, patterns=None):
        """Pack a matrix, or some rows of it, without the zeros behind it. Returns bytes.

        `codes` is (rows, K) of :attr:`dtype`; `scale` of :attr:`scale_dtype` is (rows, K /
        :attr:`group`), `centre` int8 (rows, K / 32), which do not matter where the format has none;
        `row_scale` is float32 (rows,). Rows are padded with zeros to whole blocks. `patterns` are a
        sparse matrix's.
        """

    @abstractmethod
    def unpack(self, data, rows, groups, word_bytes):
        """Undo :meth:`pack`. Returns codes, scale, centre, row_scale.

        Where a format has no scale, it is 1, and where it has no centre, 0.
        """

    @abstractmethod
    def stream_units(self, rows, groups, word_bytes, data=None):
        """Units of a packed matrix. A sparse one's depend on its zeros: `data` begins with it."""


def whole_units(data):
    """`data`, padded with zeros to `UNIT_BYTES`."""
    return data + bytes(-len(data) % UNIT_BYTES)
