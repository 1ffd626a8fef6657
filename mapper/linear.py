"""Matrices as the mapper sees them: codes with the scales of a file, read at once or by rows."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from rtl.spec.formats import FORMATS, WeightFormat, grid


__all__ = ["ODD", "RANGES", "Linear", "LazyLinear", "mapped", "relative", "spans"]


# Formats of an odd grid: unsigned codes, and a scale and a minimum for each group.
ODD = {its.code_bits: fmt for fmt, its in FORMATS.items() if its.centred}  # by bits of a code
# The least and the largest code of a format.
RANGES = {fmt: (its.low, its.high) for fmt, its in FORMATS.items()}
SPAN = 1 << 20  # weights of a matrix that are worked on at a time


@dataclass(frozen=True, kw_only=True, eq=False)
class Linear:
    """A matrix with the parameters its file gave it, for groups of weights along K or for rows.

    A weight is d * code + m in ``U1`` to ``U5``, and d times the integer of the code
    (:func:`~rtl.spec.formats.grid`) in the other formats. ``TERNARY``, ``SPARSE4`` and ``SPARSE8``
    have one d per row; the other formats may. Then ``U1`` to ``U5`` have no m, and the weight is
    d * (2 * code - 2**bits + 1): the odd grid about zero.

    Attributes
    ----------
    name : :class:`str`
        Name of the tensor in the file.
    source : :class:`str`
        Type of the tensor in the file.
    format : :class:`rtl.spec.isa.WeightFormat`
    codes : uint8 or int8 (rows, K)
        Within `RANGES`; never rounded again when the file holds codes of the format.
    d : float32 (rows, K / :attr:`rtl.spec.formats.Format.group`) or, one for each row, (rows, 1)
    m : float32 (rows, K / GROUP), or None
    rounding : :class:`float` or None
        Root of the mean squared difference to the weights of the file, relative to theirs, where
        those were rounded to codes. None: the codes are the file's.
    squares : :class:`float`
        Sum of the squares of the file's weights, where those were rounded.
    reason : :class:`str`
        Why they are not in the file's own form, if that needs to be said.
    file_bytes : :class:`int`
        What it takes in the file; 0 where nobody said.
    """

    name: str
    source: str
    format: WeightFormat
    codes: np.ndarray
    d: np.ndarray
    m: np.ndarray | None = None
    rounding: float | None = None
    squares: float = 0.0
    reason: str = ""
    file_bytes: int = 0

    @property
    def rows(self):
        """Rows of the matrix."""
        return self.codes.shape[0]

    @property
    def depth(self):
        """Columns of the matrix (K)."""
        return self.codes.shape[1]

    @property
    def rounded(self):
        """Whether the codes are not the file's."""
        return self.rounding is not None

    @property
    def by_row(self):
        """Whether rows have a scale each, rather than their groups: the machine's own form."""
        return self.m is None and self.d.shape[1] == 1

    def float32(self):
        """The weights, float32 (rows, K), each product and each sum rounded once."""
        centred = FORMATS[self.format].centred and not self.by_row
        codes = self.codes if centred else grid(self.format, self.codes)
        weights = codes.reshape(*self.d.shape, -1).astype(np.float32)
        weights *= self.d[..., None]
        if self.m is not None:
            weights += self.m[..., None]
        return weights.reshape(self.codes.shape)

    def take(self, rows):
        """The matrix of some rows, a :class:`slice` or their numbers. Its `rounding` is that of all
        of them."""
        m = None if self.m is None else self.m[rows]
        return replace(self, codes=self.codes[rows], d=self.d[rows], m=m)

    def part(self, rows):
        """The same as a tensor of its own, which the name says."""
        return replace(self.take(rows), **part_of(self, rows))


@dataclass(frozen=True, kw_only=True, eq=False)
class LazyLinear:
    """A matrix whose rows are read, or made, when they are asked for; else as :class:`Linear`.

    What is larger than a few rows is not kept, unless one asks for all `codes`, `d` or `m`.

    Attributes
    ----------
    name, source, format, file_bytes
        As :class:`Linear` has them.
    rows, depth : :class:`int`
        Shape.
    load : function of a :class:`slice`, or of rows' numbers
        Returns the :class:`Linear` of these rows. Several threads may call it at the same time.
    """

    name: str
    source: str
    format: WeightFormat
    rows: int
    depth: int
    load: Callable[[slice | np.ndarray], Linear]
    file_bytes: int = 0

    @cached_property
    def _first(self) -> Linear:
        """A row, which says of what kind all are."""
        return self.take(slice(0, 1))

    @property
    def by_row(self):
        """See :attr:`Linear.by_row`."""
        return self._first.by_row

    @property
    def rounded(self):
        """See :attr:`Linear.rounded`."""
        return self._first.rounded

    @property
    def reason(self):
        return self._first.reason

    def take(self, rows: slice) -> Linear:
        """The matrix of some rows. Its `rounding` is theirs."""
        return replace(self.load(rows), name=self.name, file_bytes=self.file_bytes)

    def part(self, rows: slice) -> "LazyLinear":
        """The same as a tensor of its own, which the name says; its rows are not read yet."""
        own = np.arange(self.rows)[rows]
        return replace(
            self, rows=len(own), load=lambda inner: self.load(own[inner]), **part_of(self, rows)
        )

    @cached_property
    def whole(self) -> Linear:
        """All of it."""
        return self.take(slice(0, self.rows))

    @property
    def codes(self):
        return self.whole.codes

    @property
    def d(self):
        return self.whole.d

    @property
    def m(self):
        return self.whole.m

    @cached_property
    def rounding(self):
        if not self.rounded:
            return None
        parts = [(its.rounding or 0.0, its.squares) for its in map(self.take, spans(self))]
        return relative(sum(r * r * s for r, s in parts), sum(s for _, s in parts))

    def float32(self):
        """See :meth:`Linear.float32`."""
        return self.take(slice(0, self.rows)).float32()


def part_of(linear, rows):
    """What differs in a part of a matrix: its name, and what it has of the file."""
    its = np.arange(linear.rows)[rows]
    share = linear.file_bytes * len(its) // linear.rows
    return {"name": f"{linear.name}[{its.min()}:{its.max() + 1}]", "file_bytes": share}


def spans(linear, multiple=1) -> Iterator[slice]:
    """Rows of a matrix in spans of about `SPAN` weights, each but the last a multiple of so many
    rows."""
    step = max(1, SPAN // (linear.depth * multiple)) * multiple
    for at in range(0, linear.rows, step):
        yield slice(at, min(at + step, linear.rows))


def mapped(linear, function, format) -> LazyLinear:
    """A matrix of which each row is what `function`, from :class:`Linear` to :class:`Linear` in a
    `format`, makes of that of another."""
    return LazyLinear(
        name=linear.name,
        source=linear.source,
        format=format,
        rows=linear.rows,
        depth=linear.depth,
        load=lambda rows: function(linear.take(rows)),
        file_bytes=linear.file_bytes,
    )


def relative(lost: float, squares: float) -> float:
    """Root of a sum of squares relative to another."""
    return float(np.sqrt(lost / squares)) if squares > 0 else 0.0
