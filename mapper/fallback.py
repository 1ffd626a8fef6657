"""What becomes of a file's codes where the configuration has not their format.

``U1`` to ``U4`` become ``S8``, which every configuration has and whose bytes they take then:
exactly, where the minimum is a multiple of half the step, as Q1_0's, Q4_0's and Q3_K's are; else
rounded, which the report says. Formats that were asked for, by rounding floats to them, and those
of the machine's own numbers are refused instead: somebody chose them for what they take.
"""

from dataclasses import replace

from rtl.spec.isa import WeightFormat

from .mixtures import as_s8, formats_of
from .model import ODD, Layer, Layers


__all__ = ["held"]


def held(model, config):
    """The model, its layers in formats that the configuration has, where they can be."""
    lacking = {fmt for fmt in ODD.values() if fmt.name not in config.formats}
    layers, found = model.layers, None
    for n in range(len(layers) if lacking else 0):
        its = next((name for name, fmt in formats_of(layers, n).items() if fmt in lacking), None)
        if its is not None:
            found = layers[n].linears[its]
            break
    if found is None or found.by_row or found.rounding is not None:
        return model

    def mended(linear):
        return as_s8(linear) if linear.format in lacking else linear

    def load(n):
        layer = layers[n]
        return Layer(
            linears={name: mended(its) for name, its in layer.linears.items()}, gains=layer.gains
        )

    def formats(n):
        return {
            name: WeightFormat.S8 if fmt in lacking else fmt
            for name, fmt in formats_of(layers, n).items()
        }

    return replace(model, layers=Layers(len(layers), load, formats))
