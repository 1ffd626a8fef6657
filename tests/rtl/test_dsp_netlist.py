"""Multiplier blocks in the netlist of the DSP chain core, as synthesis infers them."""

import pytest

from boards.synthesis import synthesize, text_of
from rtl.cores.dsp import DSP48E2, ECP5
from rtl.cores.dspchain import DspChainCore
from rtl.spec.config import Config
from rtl.spec.isa import WeightFormat


CONFIG = Config(name="t", beat_bits=256, columns=1, lanes=2, core="dspchain", formats=("U4", "S8"))


@pytest.mark.seconds(20)
@pytest.mark.parametrize(
    "family, cell, packing", [("ecp5", "MULT18X18D", ECP5), ("xcup", "DSP48E2", DSP48E2)]
)
def test_products_per_multiplier(family, cell, packing):
    core = DspChainCore(CONFIG, packing)
    area = synthesize(text_of(core), family)
    assert area.cells[cell] == area.dsp == 32
    # A step of a row has 32 elements in U4, and 16 in S8.
    for fmt, elements, per_multiplier in [(WeightFormat.U4, 32, 2), (WeightFormat.S8, 16, 1)]:
        products = CONFIG.rows * elements / core.passes(fmt)
        assert products / area.dsp == per_multiplier
