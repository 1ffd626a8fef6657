# amaranth: UnusedElaboratable=no

from dataclasses import replace

import pytest
from amaranth.hdl import Fragment

from rtl.cores.lut import LutCore
from rtl.spec.config import NATIVE, Config
from rtl.spec.isa import WeightFormat


CONFIG = Config(name="t", beat_bits=256, columns=2, lanes=2, core="lut")


def test_config_wrong():
    with pytest.raises(TypeError, match=r"^Configuration must be a Config, not 'small'$"):
        LutCore("small")


def test_formats_wrong():
    with pytest.raises(
        ValueError,
        match=r"^Formats must have at least one of U1, U2, U3, U4, S8, TERNARY, U5, S6, FP4, "
        r"FP4_16, not \('SPARSE4',\)$",
    ):
        LutCore(CONFIG, formats=("SPARSE4",))


def test_formats_of_six_bits_are_the_configurations():
    """Its steps have bits beyond nibbles, or none."""
    with pytest.raises(
        ValueError,
        match=r"^Formats of six bits must be among U4, S8, which the configuration has, "
        r"not \('S6',\)$",
    ):
        LutCore(replace(CONFIG, formats=("U4", "S8")), formats=("S6",))


def test_inputs_wrong():
    with pytest.raises(ValueError, match=r"^Inputs of a table must be 2 or 4, not 3$"):
        LutCore(CONFIG, inputs=3)


def test_tables_are_no_wider_than_parts():
    with pytest.raises(
        ValueError,
        match=r"^Inputs of a table must be at most half of the 4 elements of a part, not 4$",
    ):
        LutCore(replace(CONFIG, beat_bits=16), inputs=4)


def test_attributes():
    core = LutCore(CONFIG)
    assert {f.name for f in core.native} == {"U1", "U2", "U3", "U4", "S8", "TERNARY"}
    assert {core.outputs(fmt) for fmt in core.native} == {1}


@pytest.mark.parametrize(
    "formats, lanes",
    [
        (("S8",), 2),
        (("U3", "S8"), 2),
        (("U2", "S8"), 4),
        (("S8", "TERNARY"), 4),
        (("U1", "S8"), 8),
        (("S8", "U5"), 2),
        (("S8", "S6"), 4),  # and the upper halves of groups
        (("S8", "FP4_16"), 4),
        (("U1", "S8", "S6"), 8),
    ],
)
def test_lanes(formats, lanes):
    core = LutCore(replace(CONFIG, formats=formats))
    assert core.lanes == len(core.sums.payload[0]) == lanes
    assert core.native == {WeightFormat[name] for name in formats}


@pytest.mark.parametrize("inputs", [2, 4])
def test_capacity_covers_latency(inputs):
    core = LutCore(CONFIG, inputs=inputs)
    assert core.latency < core.capacity


@pytest.mark.seconds(1)
@pytest.mark.parametrize("inputs", [2, 4])
@pytest.mark.parametrize("fmt", NATIVE["lut"])
def test_elaborates_for_one_format(fmt, inputs):
    config = replace(CONFIG, formats=(fmt, "S8"))
    Fragment.get(LutCore(config, formats=(fmt,), inputs=inputs), None).prepare()
