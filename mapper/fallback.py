"""What becomes of a file's codes where the configuration has not their format.

They become ``S8``, which every configuration has: exactly where each is an integer times its
group's step, as Q1_0's, Q4_0's, Q5_0's and MXFP4's are, else rounded. They take the bytes of ``S8``
then. Formats that were asked for, by rounding floats to them, and those of the machine's own
numbers are refused instead: somebody chose them for what they take.
"""

from dataclasses import replace

from rtl.spec.formats import FORMATS
from rtl.spec.isa import WeightFormat

from .as_s8 import as_s8
from .model import Layer, Layers
from .plan import formats_of


__all__ = ["held"]


def held(model, config):
    """The model, its layers and its head in formats that the configuration has, where they can
    be."""
    lacking = {f for f, its in FORMATS.items() if its.scaled and f.name not in config.formats}

    def kept(linear):
        return linear.format not in lacking or linear.by_row or linear.rounded

    def mended(linear):
        reason = f"configuration {config.name!r} has no {linear.format.name}"
        return linear if kept(linear) else as_s8(linear, reason)

    layers, found = model.layers, None
    for n in range(len(layers) if lacking else 0):
        its = next((name for name, fmt in formats_of(layers, n).items() if fmt in lacking), None)
        if its is not None:
            found = layers[n].linears[its]
            break
    if model.load_head is not None:
        model = replace(model, load_head=lambda load=model.load_head: mended(load()))
    if found is None or kept(found):
        return model

    def load(n):
        layer = layers[n]
        return Layer(
            linears={name: mended(its) for name, its in layer.linears.items()},
            vectors=layer.vectors,
        )

    def formats(n):
        return {
            name: WeightFormat.S8 if fmt in lacking else fmt
            for name, fmt in formats_of(layers, n).items()
        }

    return replace(model, layers=Layers(len(layers), load, formats))
