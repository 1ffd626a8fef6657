"""Bench of the LUT tensor core in the variants that only it has; :mod:`~.core` has the rest."""

from rtl.cores.lut import LutCore
from rtl.cores.tabled import TabledCore
from rtl.spec.config import Config, get

from ._conformance import tests


# With four lanes 16 units share tables.
LARGE = Config(name="large", beat_bits=512, columns=3, lanes=8, core="lut")
FEW = Config(name="few", beat_bits=256, columns=2, lanes=8, core="lut", formats=("S8", "TERNARY"))
CASES = {
    "large": lambda: LutCore(LARGE),
    "four": lambda: LutCore(get("small-lut"), inputs=4),
    "u3": lambda: LutCore(FEW, formats=("U3",)),
    "tabled": lambda: TabledCore(LutCore(FEW)),
    "tabled_four": lambda: TabledCore(LutCore(get("small-lut"), inputs=4)),
}

globals().update(tests(CASES))
