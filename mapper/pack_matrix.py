"""Pack a matrix in spans of rows, so that of a large one few lie in memory at a time.

Spans are independent: threads pack them, numpy's work being outside of Python's lock. They are
written in their order, and the bytes are those of the whole matrix packed at once.
"""

import os
from collections import Counter, deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice

import numpy as np

from rtl.spec.config import GROUP, UNIT_BYTES
from rtl.spec.descriptor import Descriptor
from rtl.spec.formats import FORMATS, WeightFormat

from .linear import relative, spans
from .plan import stack, stack_rows
from .quantize import error_of, integer_groups
from .report import block_modes


__all__ = ["PackedMatrix", "in_order", "pack_matrix", "threads"]


THREADS = min(4, os.cpu_count() or 1)


def threads():
    """The threads that pack."""
    return ThreadPoolExecutor(THREADS)


def in_order(pool, function, items):
    """Yield what a function makes of each item, in their order, while threads make the next few."""
    items = iter(items)
    ahead = deque(pool.submit(function, item) for item in islice(items, THREADS + 1))
    while ahead:
        found = ahead.popleft().result()
        ahead.extend(pool.submit(function, item) for item in islice(items, 1))
        yield found


@dataclass(frozen=True, kw_only=True, eq=False)
class PackedMatrix:
    """What is known of a matrix, or of a span of its rows, once it is packed.

    Attributes
    ----------
    format : :class:`~rtl.spec.isa.WeightFormat`
    size : :class:`int`
        Bytes in the weight stream.
    squared, power : float64 (rows,)
        As :class:`~mapper.quantize.Quantized` has them.
    nonzero : :class:`int`
        Codes that are not zero, of formats without scales of groups.
    modes : :class:`~collections.Counter`
        Blocks of a sparse matrix, by :class:`~rtl.spec.sparse_modes.Mode`.
    roundings : :class:`dict`
        Of tensors that were rounded to codes, by name: sums of squares of what that changed, and of
        the weights.
    """

    format: WeightFormat
    size: int
    squared: np.ndarray
    power: np.ndarray
    nonzero: int
    modes: Counter
    roundings: dict[str, tuple[float, float]]

    @classmethod
    def joined(cls, size, parts):
        """A matrix of its spans."""
        roundings = {}
        for name, its in (item for part in parts for item in part.roundings.items()):
            before = roundings.get(name, (0.0, 0.0))
            roundings[name] = before[0] + its[0], before[1] + its[1]
        return cls(
            format=parts[0].format,
            size=size,
            squared=np.concatenate([part.squared for part in parts]),
            power=np.concatenate([part.power for part in parts]),
            nonzero=sum(part.nonzero for part in parts),
            modes=sum((part.modes for part in parts), Counter()),
            roundings=roundings,
        )

    def error_of(self, rows=slice(None)):
        """Root of the mean squared difference that integer scales make, relative to the weights, of
        some rows."""
        return error_of(self.squared[rows], self.power[rows])

    def rounding(self, name):
        """What rounding to codes makes of a tensor's weights; None where they are the file's."""
        return relative(*self.roundings[name]) if name in self.roundings else None


def pack_span(config, matrix, linears, factors, shift, rows):
    """Pack a span of rows of a matrix, see :func:`pack_matrix`. Returns bytes, and what is known of
    them."""
    parts, linear = stack_rows(matrix, linears, rows)
    q, its = integer_groups(linear, shift), FORMATS[linear.format]
    row_scale = q.row_scale * factors[rows]
    raw = its.beats(q.codes, q.scale, q.centre, row_scale, config.word_bytes, config.patterns)
    return raw, PackedMatrix(
        format=q.format,
        size=len(raw),
        squared=q.squared,
        power=q.power,
        nonzero=0 if its.scaled else int(np.count_nonzero(q.codes)),
        modes=block_modes(its, linear, raw, config.word_bytes) if its.sparse else Counter(),
        roundings={
            name: (part.rounding**2 * part.squares, part.squares)
            for name, part in parts
            if part.rounding is not None
        },
    )


def pack_matrix(pool, config, matrix, linears, shift, factor, write):
    """Pack a matrix: descriptor, rows, and zeros up to whole units.

    Parameters
    ----------
    pool
        Of :func:`threads`.
    config : :class:`~rtl.spec.config.Config`
    matrix : :class:`~mapper.plan.Matrix`
    linears : mapping of :class:`str`
        The tensors of its parts, :class:`~mapper.linear.Linear` or
        :class:`~mapper.linear.LazyLinear`.
    shift : :class:`int`
        Of its centres.
    factor : function of a tensor's name
        What its row scales are multiplied with.
    write : function of bytes
        Takes the matrix, as it is packed.

    Returns
    -------
    :class:`PackedMatrix`
    """
    linear = stack(matrix, linears)
    multiple = FORMATS[linear.format].rows_apart(config.word_bytes)
    factors = np.concatenate(
        [np.full(end - start, factor(name)) for name, start, end in matrix.parts]
    )
    write(Descriptor(linear.format, shift, linear.rows, linear.depth // GROUP).pack())
    size, parts = UNIT_BYTES, []
    for raw, part in in_order(
        pool,
        lambda rows: pack_span(config, matrix, linears, factors, shift, rows),
        spans(linear, multiple),
    ):
        write(raw)
        size += len(raw)
        parts.append(part)
    write(bytes(-size % UNIT_BYTES))
    return PackedMatrix.joined(size + -size % UNIT_BYTES, parts)
