"""Bring mixtures of formats to one for each matrix, since one program serves every layer.

A file named Q4_K_M has Q4_K in half of the layers' ``ffn_down``, and Q6_K in the others'. Where the
tensors of one product differ in their formats, over all layers, they become ``S8``.
"""

from dataclasses import replace

import numpy as np

from rtl.spec.config import GROUP
from rtl.spec.formats import grid
from rtl.spec.isa import WeightFormat

from .model import Layer, Layers, Linear, round_s8


__all__ = ["alike", "as_s8"]


def as_s8(linear: Linear) -> Linear:
    """A matrix in ``S8``, with scales of groups: its own weights where that can be, else rounded
    ones."""
    if linear.format == WeightFormat.S8 and not linear.by_row:
        return linear
    if linear.m is None:
        codes, d = grid(linear.format, linear.codes), linear.d
    else:  # an integer times half of d, if m is one, too: Q4_0's is -8 d
        d = linear.d * np.float32(0.5)
        with np.errstate(over="ignore", invalid="ignore"):  # tiny scales beside large minima
            offset = np.rint(linear.m / np.where(d == 0, 1, d))
            multiple = (offset * d == linear.m).all() and np.abs(offset).max() <= 127
        if not multiple:
            return round_s8(linear.name, linear.source, linear.float32())
        codes = 2 * linear.codes.reshape(*d.shape, -1) + offset[..., None].astype(np.int32)
    groups = linear.rows, linear.depth // GROUP
    exact = replace(
        linear,
        format=WeightFormat.S8,
        codes=codes.astype(np.int8).reshape(linear.codes.shape),
        d=np.ascontiguousarray(np.broadcast_to(d, groups)),
        m=None,
    )
    if np.abs(codes).max() > 127 or (exact.float32() != linear.float32()).any():
        return round_s8(linear.name, linear.source, linear.float32())
    return exact


def alike(layers, products):
    """Layers in which the tensors of each product have one format, the same in all of them.

    They are read as lazily as those given.

    Parameters
    ----------
    layers : sequence of :class:`~mapper.model.Layer`
    products : list of :class:`~mapper.nodes.Product`
    """
    mixed = mixed_tensors(layers, products)
    if not mixed:
        return layers

    def load(n):
        layer = layers[n]
        linears = {
            name: as_s8(its) if name in mixed else its for name, its in layer.linears.items()
        }
        return Layer(linears=linears, gains=layer.gains)

    return Layers(len(layers), load)


def mixed_tensors(layers, products):
    """Names of the tensors that must become ``S8``."""
    formats, mixed = {}, set()
    for n in range(len(layers)):
        for name, fmt in formats_of(layers, n).items():
            formats.setdefault(name, set()).add(fmt)
    while True:
        found = {
            name
            for product in products
            if len(set().union(*(formats[name] for name in product.tensors))) > 1
            for name in product.tensors
        }
        if not found:
            return mixed
        mixed |= found
        # Those of another product that shares one of them must follow.
        formats |= {name: {WeightFormat.S8} for name in found}


def formats_of(layers, n):
    """Formats of a layer's tensors by name, without reading them where that can be."""
    if isinstance(layers, Layers):
        return layers.formats(n)
    return {name: its.format for name, its in layers[n].linears.items()}
