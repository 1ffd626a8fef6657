# amaranth: UnusedElaboratable=no

import pytest
from amaranth.back import rtlil

from rtl.cores import create
from rtl.cores.parts_tree import PartsTree, way_of
from rtl.linear.gather import Gather
from rtl.linear.part_trits import PartTrits
from rtl.linear.parts import StepParts
from rtl.spec.config import Config, get
from rtl.spec.isa import WeightFormat
from rtl.spec.sparse_modes import Mode


def config(beat_bits, **changes):
    return Config(name="t", beat_bits=beat_bits, columns=1, lanes=2, **changes)


@pytest.mark.parametrize(
    "component", [lambda c: StepParts(c, set()), lambda c: PartTrits(c, set()), Gather]
)
def test_config_wrong(component):
    with pytest.raises(TypeError, match=r"^Configuration must be a Config, not 'small'$"):
        component("small")


def test_config_of_tree_wrong():
    with pytest.raises(TypeError, match=r"^Configuration must be a Config, not 'small'$"):
        PartsTree("small", 4)


def test_whole_words_pass():
    """Wires: not a cell."""
    of = get("small")
    text = rtlil.convert(StepParts(of, create(of).native), emit_src=False)
    assert "connect \\o__payload \\i__payload" in text and "cell " not in text
    assert "cell " not in rtlil.convert(Gather(of), emit_src=False)


@pytest.mark.parametrize("core", ["systolic", "lut", "dspchain"])
@pytest.mark.parametrize("beat_bits", [16, 32, 64])
def test_cores_have_a_parts_elements(core, beat_bits):
    of = config(beat_bits, core=core, formats=("U4", "S8"))
    made = create(of)
    assert made.elements == made.act_elements == beat_bits // 4
    assert made.passes(WeightFormat.U4) == 128 // beat_bits
    assert made.outputs(WeightFormat.U4) == 1


def test_indices_choose_of_whole_groups():
    of = config(64, core="dspchain")
    assert create(of).act_elements == 32 and create(of).elements == 16


# Rows of a part, parts of a row, of a payload of four rows, and passes over a part.
# fmt: off
WAYS = [
    (64, "U4",      Mode.ZERO,  (1, 2, 2, 1)),
    (64, "S8",      Mode.ZERO,  (1, 2, 2, 1)),
    (64, "SPARSE4", Mode.N2,    (8, 1, 1, 2)),
    (64, "SPARSE4", Mode.N4,    (4, 1, 1, 1)),
    (64, "SPARSE8", Mode.PAIRS, (1, 1, 2, 1)),
    (64, "SPARSE8", Mode.DENSE, (1, 2, 2, 1)),
    (16, "SPARSE4", Mode.N2,    (2, 1, 2, 1)),
    (16, "SPARSE4", Mode.DENSE, (1, 4, 8, 1)),
    (16, "SPARSE8", Mode.N2,    (1, 1, 4, 1)),
]
# fmt: on


@pytest.mark.parametrize("beat_bits, fmt, mode, expected", WAYS)
def test_ways(beat_bits, fmt, mode, expected):
    way = way_of(config(beat_bits, core="dspchain"), WeightFormat[fmt], mode)
    assert (way.rows, way.spans, way.payload, way.passes) == expected
