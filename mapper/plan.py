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

from .model import ODD, RANGES, Layers
from .passes import layer_products
from .quantize import integer_groups


__all__ = ["Matrix", "centre_shift", "formats_of", "plan_of", "stack"]


SAMPLE = 1 << 15  # groups that a shift of centres is chosen for: more of a matrix say the same


@dataclass(frozen=True)
class Matrix:
    """A matrix in the weight stream, of a layer each: rows of one or more tensors, stacked.

    Attributes
    ----------
    name : :class:`str`
        What reports call it.
    product : :class:`str`
        The :class:`~mapper.nodes.Product`, by its own name for its matrix.
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


def formats_of(layers, n):
    """Formats of a layer's tensors by name, without reading them where that can be."""
    if isinstance(layers, Layers):
        return layers.formats(n)
    return {name: its.format for name, its in layers[n].linears.items()}


def plan_of(layers, graph):
    """Each :class:`Matrix` of a layer, the same in all layers, in the order of the stream."""
    plan, sizes = [], {node.name: node.size for node in graph}
    formats = [formats_of(layers, n) for n in range(len(layers))]
    for node in layer_products(graph):
        alike = groupby(node.parts, lambda part: [of[part[0]] for of in formats])
        parts = [tuple(its) for _, its in alike]
        for each in parts:
            tensors = ", ".join(name for name, _, _ in each)
            name = node.matrix if len(parts) == 1 else f"{node.matrix}: {tensors}"
            plan.append(Matrix(name, node.matrix, each, sizes[node.inputs[0]] // GROUP))
    return plan


def stack(matrix, linears):
    """The rows of a matrix's parts, one below the other, of a layer's
    :class:`~mapper.model.Linear` by name."""
    parts = [linears[name] for name, _, _ in matrix.parts]
    if len({its.by_row for its in parts}) > 1:
        parts = [by_groups(its) for its in parts]
    rows = [slice(start, end) for _, start, end in matrix.parts]

    def join(field):
        return np.concatenate([getattr(p, field)[r] for p, r in zip(parts, rows)])

    return replace(
        parts[0],
        name=matrix.name,
        codes=join("codes"),
        d=join("d"),
        m=None if parts[0].m is None else join("m"),
    )


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
    some = slice(None, None, -(-linear.d.size // SAMPLE))
    m = None if linear.m is None else linear.m[some]
    sample = replace(linear, codes=linear.codes[some], d=linear.d[some], m=m)
    return integer_groups(sample).centre_shift
