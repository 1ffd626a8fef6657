# amaranth: UnusedElaboratable=no

import pytest

from rtl.cores import create
from rtl.linear.slices import Banks, payload_slices
from rtl.spec.config import CONFIGS, Config
from rtl.spec.formats import FORMATS
from rtl.spec.isa import WeightFormat
from rtl.spec.sparse_modes import Mode


DENSE = {WeightFormat.U4, WeightFormat.S8}
SPARSE = {WeightFormat.SPARSE4, WeightFormat.SPARSE8}


def config(*formats, core="lut"):
    return Config(name="t", beat_bits=128, columns=1, lanes=2, core=core, formats=formats)


def test_config_wrong():
    with pytest.raises(TypeError, match=r"^Configuration must be a Config, not 'small'$"):
        Banks.of("small", DENSE)


@pytest.mark.parametrize(
    "fmt, mode, slices",
    [
        (WeightFormat.U1, None, 4),
        (WeightFormat.SPARSE4, Mode.N2, 16),
        (WeightFormat.SPARSE4, Mode.PAIRS, 4),
        (WeightFormat.SPARSE8, Mode.DENSE, 1),
    ],
)
def test_steps(fmt, mode, slices):
    assert FORMATS[fmt].step_slices(mode) == slices


@pytest.mark.parametrize("fmt", WeightFormat)
def test_payloads_of_cut_up_steps(fmt):
    assert payload_slices(fmt, set()) == 1


@pytest.mark.parametrize(
    "formats, native, depths, spread",
    [
        (("U4", "S8"), DENSE, (1,), False),
        (("S8", "TERNARY"), DENSE, (2,), False),
        (("S8", "TERNARY"), DENSE | {WeightFormat.TERNARY}, (1, 1), False),
        (("U4", "S8", "TERNARY", "SPARSE8"), DENSE, (16,), False),
        (
            ("S8", "U1", "TERNARY", "SPARSE4"),
            DENSE | {WeightFormat.U1, WeightFormat.TERNARY},
            (16, 1, 1, 1),
            False,
        ),
        (("S8", "SPARSE4"), DENSE | SPARSE, (4, 4, 4, 4), True),
        (("S8", "U4"), DENSE | SPARSE, (1,), False),
    ],
)
def test_banks(formats, native, depths, spread):
    assert Banks.of(config(*formats), native) == Banks(depths, spread)


def test_lanes():
    """Where groups have 16 elements, a payload of one slice has the upper halves' sums behind."""
    for formats, lanes in [(("S8",), 1), (("S8", "S6"), 2), (("S8", "U2", "S6"), 2)]:
        of = config(*formats)
        assert Banks.of(of, of.native).lanes(of) == lanes


def test_bits():
    assert (Banks((1,), False).slice_bits, Banks((1,), False).span_bits) == (0, 0)
    assert (Banks((16, 1, 1, 1), False).slice_bits, Banks((16, 1), False).span_bits) == (4, 1)
    assert (Banks((4,) * 4, True).slice_bits, Banks((4,) * 4, True).span_bits) == (4, 2)


@pytest.mark.parametrize("name", CONFIGS)
def test_banks_are_the_lanes_of_the_cores(name):
    core = create(CONFIGS[name])
    assert Banks.of(core.config, core.native).lanes(core.config) == core.lanes
