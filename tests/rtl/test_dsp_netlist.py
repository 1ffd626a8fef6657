"""Multiplier blocks in the netlist of the DSP chain core, as synthesis infers them."""

from dataclasses import replace

import pytest

from boards.synthesis import synthesize, text_of
from rtl.cores.dsp import DSP48E2, ECP5
from rtl.cores.dspchain import DspChainCore
from rtl.spec.config import Config
from rtl.spec.isa import WeightFormat


ONE = Config(name="t", beat_bits=256, columns=1, lanes=2, core="dspchain", formats=("U4", "S8"))
TWO = replace(ONE, columns=2)


@pytest.mark.seconds(20)
@pytest.mark.parametrize(
    "family, cell, packing, config, count",
    [
        ("ecp5", "MULT18X18D", ECP5, ONE, 32),
        ("xcup", "DSP48E2", DSP48E2, ONE, 32),
        ("xcup", "DSP48E2", ECP5, TWO, 64),  # of two columns
    ],
)
def test_products_per_multiplier(family, cell, packing, config, count):
    core = DspChainCore(config, packing)
    area = synthesize(text_of(core), family)
    assert area.cells[cell] == area.dsp == count
    # A step of a row has 32 elements in U4, and 16 in S8.
    for fmt, elements, per_multiplier in [(WeightFormat.U4, 32, 2), (WeightFormat.S8, 16, 1)]:
        products = config.rows * config.columns * elements / core.passes(fmt)
        assert products / area.dsp == per_multiplier
