# amaranth: UnusedElaboratable=no

import pytest

from rtl.cores.systolic import SystolicCore
from rtl.spec.config import Config
from rtl.spec.isa import WeightFormat


def test_config_wrong():
    with pytest.raises(TypeError, match=r"^Configuration must be a Config, not 'small'$"):
        SystolicCore("small")


@pytest.mark.parametrize("columns", [1, 4, 16])
def test_capacity_covers_latency(columns):
    core = SystolicCore(Config(name="t", beat_bits=128, columns=columns, lanes=2))
    assert core.latency == columns + 7 < core.capacity


def test_attributes():
    core = SystolicCore(Config(name="t", beat_bits=512, columns=2, lanes=2))
    native = {WeightFormat.U4, WeightFormat.S8, WeightFormat.TERNARY}
    assert core.lanes == 8 and core.native == native
    assert {core.outputs(fmt) for fmt in core.native} == {1}
    assert len(core.sums.payload[0]) == core.lanes


def test_only_ternary_pays_for_a_second_row():
    formats = "U4", "S8"
    core = SystolicCore(Config(name="t", beat_bits=512, columns=2, lanes=2, formats=formats))
    assert core.lanes == 4 and core.bits == 8
