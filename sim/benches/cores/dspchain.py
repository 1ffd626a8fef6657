"""Bench of the DSP chain core in the variants that only it has; :mod:`~.core` has the rest."""

from dataclasses import replace

from rtl.cores.dsp import DSP48E2, ECP5
from rtl.cores.dspchain import DspChainCore
from rtl.spec.config import get

from ._conformance import tests


SIX, SKIPPED = ("S6", "FP4"), ("S8", "TERNARY", "SPARSE4", "SPARSE8")
SMALL, WIDE = get("small-dspchain"), get("wide-dspchain")
# (configuration, how a multiplier does two products).
VARIANTS = {
    "wide": (replace(WIDE, columns=2), ECP5),
    "two_of_four": (
        replace(SMALL, beat_bits=256, patterns=("2:4",), formats=("S8", "SPARSE4")),
        ECP5,
    ),
    "single": (
        replace(SMALL, patterns=("2:16", "8:16"), formats=("U4", "S8", "SPARSE4", "SPARSE8")),
        ECP5,
    ),
    "half": (replace(SMALL, beat_bits=64, columns=2, formats=("U4", *SIX, *SKIPPED)), ECP5),
    "lanes": (replace(SMALL, beat_bits=512, patterns=("2:16", "4:16", "8:16")), ECP5),
    "dsp48e2": (replace(SMALL, beat_bits=256, patterns=("8:16",)), DSP48E2),
}
CASES = {
    name: lambda config=config, packing=packing: DspChainCore(config, packing)
    for name, (config, packing) in VARIANTS.items()
}

globals().update(tests(CASES))
