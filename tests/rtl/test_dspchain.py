# amaranth: UnusedElaboratable=no

import pytest

from rtl.cores.dsp import COLUMNS, DSP48E2, ECP5, Packing
from rtl.cores.dspchain import DspChainCore
from rtl.cores.reduction import ReductionTree
from rtl.cores.slots import SlotSelect, elements
from rtl.spec.config import Config
from rtl.spec.formats import FORMATS
from rtl.spec.isa import WeightFormat
from rtl.spec.sparse_modes import Mode


WHOLE = "2:16", "4:16", "8:16"  # patterns of 16 elements


def config(beat_bits=256, columns=1, **changes):
    return Config(
        name="t", beat_bits=beat_bits, columns=columns, lanes=2, core="dspchain", **changes
    )


@pytest.mark.parametrize("cls", [DspChainCore, SlotSelect, ReductionTree])
def test_config_wrong(cls):
    with pytest.raises(TypeError, match=r"^Configuration must be a Config, not 'small'$"):
        cls("small")


def test_capacity_covers_latency():
    assert DspChainCore(config()).latency == 8 < DspChainCore(config()).capacity


@pytest.mark.parametrize("packing, operand_bits", [(ECP5, 18), (DSP48E2, 26), (COLUMNS, 27)])
def test_packings_fit_their_multipliers(packing, operand_bits):
    assert packing.operand_bits == operand_bits


def test_packing_wrong():
    with pytest.raises(ValueError, match=r"^Packing 'tight': spacing must be at least 13, not 12$"):
        Packing("tight", weight_bits=5, spacing=12)


# fmt: off
CYCLES = [
    ("SPARSE4", Mode.N2,    4, 4), ("SPARSE8", Mode.N2,     4,  4),
    ("SPARSE4", Mode.N4,    4, 4), ("SPARSE8", Mode.N4,     4,  4),
    ("SPARSE4", Mode.N8,    4, 8), ("SPARSE8", Mode.N8,     8,  8),
    ("SPARSE4", Mode.DENSE, 8, 8), ("SPARSE8", Mode.DENSE, 16, 16),
]
# fmt: on


@pytest.mark.parametrize("fmt, mode, one_lane, two_lanes", CYCLES)
def test_cycles_of_a_block(fmt, mode, one_lane, two_lanes):
    fmt = WeightFormat[fmt]
    for of, cycles in [
        (config(128), one_lane),
        (config(256), one_lane),
        (config(512, columns=2), one_lane),
        (config(256, patterns=WHOLE), two_lanes),
        (config(512, patterns=WHOLE), two_lanes),
    ]:
        assert DspChainCore(of).passes(fmt, mode) * FORMATS[fmt].code_beats(mode) == cycles


@pytest.mark.parametrize("beat_bits, columns", [(128, 1), (256, 1), (512, 1), (512, 4)])
@pytest.mark.parametrize("fmt", [WeightFormat.SPARSE4, WeightFormat.SPARSE8])
def test_two_of_four_take_no_more_cycles_than_beats(fmt, beat_bits, columns):
    passes = DspChainCore(config(beat_bits, columns)).passes(fmt, Mode.PAIRS)
    its = FORMATS[fmt]
    assert passes * its.code_beats(Mode.PAIRS) <= its.beats_of(Mode.PAIRS)


@pytest.mark.parametrize(
    "formats, beat_bits, lanes, slices",
    [
        (("S8", "U4"), 128, 1, 1),
        (("S8", "U4"), 512, 2, 1),
        (("S8", "SPARSE8"), 512, 2, 4),
        (("S8", "SPARSE4"), 512, 1, 4),  # 2 of 4
        (("S8", "FP4"), 512, 2, 1),  # five bits
        (("S8", "FP4_16"), 512, 2, 2),
        (("S8", "U5"), 512, 1, 1),  # six, of which a multiplier does one
        (("S8", "S6"), 512, 1, 2),
        (("S8", "S6", "SPARSE4"), 512, 1, 4),
    ],
)
def test_lanes_of_a_chain(formats, beat_bits, lanes, slices):
    of = config(beat_bits, formats=formats)
    assert of.chain_lanes == ReductionTree(of).lanes == SlotSelect(of).lanes == lanes
    assert DspChainCore(of).lanes == slices * of.rows


def test_columns_share_multipliers():
    assert config(512, columns=2, formats=("S8", "U4")).chain_lanes == 1
    assert not config(128, columns=2).column_pairs and not config(512).column_pairs


# fmt: off
MULTIPLEXERS = [
    ({"formats": ("S8", "U4")},              5,  [5]),
    ({"patterns": ("4:16", "2:4")},          21, list(range(16))),
    ({"patterns": ("2:4",)},                 1,  [0, 1, 2, 3]),
    ({"patterns": ("2:4",)},                 21, [8, 9, 10, 11, 5]),
    ({"patterns": ()},                       21, [5]),
    ({"beat_bits": 128, "formats": ("S8", "SPARSE8")}, 21, []),
]
# fmt: on


@pytest.mark.parametrize("changes, cell, expected", MULTIPLEXERS)
def test_sparse_multiplexers_are_no_wider_than_patterns_need(changes, cell, expected):
    assert elements(config(**changes), cell) == expected
