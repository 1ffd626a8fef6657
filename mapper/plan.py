"""Matrices of the weight stream: which rows of which tensors each MATMUL takes.

A product of several tensors is one matrix, unless their formats differ in some layer: a matrix has
one format, which its descriptor says. Then each of them is a matrix of its own, in all layers,
since layers share a program; the result lies where that of one matrix would.
"""

from dataclasses import dataclass, replace
from itertools import groupby

import numpy as np

from rtl.spec.config import GROUP
from rtl.spec.formats import FORMATS

from .linear import ODD, RANGES, LazyLinear
from .model import Layers
from .passes import layer_products
from .quantize import integer_groups


__all__ = ["Matrix", "centre_shift", "formats_of", "plan_of", "stack", "stack_rows"]


SAMPLE = 1 << 15  # groups that a shift of centres is chosen for: more of a matrix say the same


@dataclass(frozen=True)
class Matrix:
    """A matrix in the weight stream, of a layer each: rows of one or more tensors, stacked.

    Attributes
    ----------
    name : :class:`str`
        What reports call it.
    product : :class:`str`
        The name of its :class:`~mapper.nodes.Product`.
    parts : tuple of (tensor's name, first row, end row)
    groups : :class:`int`
        Columns, in groups of 32.
    """

    name: str
    product: str
    parts: tuple
    groups: int

    @property
    def rows(self):
        """Rows of all parts."""
        return sum(end - start for _, start, end in self.parts)

    def tensor_rows(self, rows):
        """Yield which rows of which tensors some rows are: names and slices."""
        wanted, at = range(self.rows)[rows], 0
        for name, start, end in self.parts:
            first, stop = (
                min(len(wanted), max(0, -(-(bound - wanted.start) // wanted.step)))
                for bound in (at, at + end - start)
            )
            its = wanted[first:stop]
            if its:
                yield name, slice(its.start + start - at, its[-1] + 1 + start - at, its.step)
            at += end - start


def formats_of(layers, n):
    """Formats of a layer's tensors by name, without reading them where that can be."""
    if isinstance(layers, Layers):
        return layers.formats(n)
    return {name: its.format for name, its in layers[n].linears.items()}


def plan_of(layers, graph):
    """Each :class:`Matrix` of a layer of each kind, by its name, in the order of the stream. They
    are the same in all layers of a kind."""
    sizes = {node.name: node.size for node in graph}
    formats: dict[str, list] = {name: [] for name in graph.kinds}
    for n, kind in enumerate(graph.order):
        formats[kind].append(formats_of(layers, n))
    return {
        kind: [matrix for node in products for matrix in _matrices(node, formats[kind], sizes)]
        for kind, products in layer_products(graph).items()
    }


def _matrices(node, formats, sizes):
    """Each :class:`Matrix` of a product; `formats` are those of tensors, in each layer."""
    alike = groupby(node.parts, lambda part: [of[part[0]] for of in formats])
    parts = [tuple(its) for _, its in alike]
    for each in parts:
        tensors = ", ".join(name for name, _, _ in each)
        name = node.matrix if len(parts) == 1 else f"{node.matrix}: {tensors}"
        yield Matrix(name, node.name, each, sizes[node.inputs[0]] // GROUP)


def stack(matrix, linears):
    """The rows of a matrix's parts, one below the other, of a layer's tensors by name: a
    :class:`~mapper.linear.LazyLinear`."""
    first = linears[matrix.parts[0][0]]
    return LazyLinear(
        name=matrix.name,
        source=first.source,
        format=first.format,
        rows=matrix.rows,
        depth=first.depth,
        load=lambda rows: stack_rows(matrix, linears, rows)[1],
    )


def all_by_row(matrix, linears):
    """Whether all parts of a matrix have scales of rows: if only some do, it has them of groups."""
    return all(linears[name].by_row for name, _, _ in matrix.parts)


def stack_rows(matrix, linears, rows):
    """Some rows of a matrix, a slice: pairs of a tensor's name and its rows; and all of them, one
    below the other."""
    named = [(name, linears[name].take(its)) for name, its in matrix.tensor_rows(rows)]
    parts = [its for _, its in named]
    if not all_by_row(matrix, linears):
        parts = [by_groups(its) for its in parts]
    first, *others = parts
    if not others:
        return named, first
    m = None if first.m is None else np.concatenate([its.m for its in parts])
    codes, d = (np.concatenate([getattr(its, x) for its in parts]) for x in ("codes", "d"))
    return named, replace(first, codes=codes, d=d, m=m)


def by_groups(linear):
    """The same weights, with a scale for each group, and a minimum where the format has centres."""
    if not linear.by_row:
        return linear
    d = np.repeat(linear.d, linear.depth // FORMATS[linear.format].group, 1)
    if linear.format not in ODD.values():
        return replace(linear, d=d)
    top = np.float32(RANGES[linear.format][1])
    return replace(linear, d=2 * d, m=-top * d)


def centre_shift(linear):
    """The shift of centres that suits a matrix best; 0 where its format has none."""
    if linear.format not in ODD.values() or linear.by_row:
        return 0
    count = linear.rows * linear.depth // FORMATS[linear.format].group
    sample = linear.take(slice(0, linear.rows, -(-count // SAMPLE)))
    return integer_groups(sample).centre_shift
