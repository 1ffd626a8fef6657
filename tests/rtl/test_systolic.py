# amaranth: UnusedElaboratable=no

import pytest

from rtl.config import Config
from rtl.cores.systolic import SystolicCore


def test_config_wrong():
    with pytest.raises(TypeError, match=r"^Configuration must be a Config, not 'small'$"):
        SystolicCore("small")


@pytest.mark.parametrize("columns", [1, 4, 16])
def test_capacity_covers_latency(columns):
    core = SystolicCore(Config(name="t", beat_bits=128, columns=columns, lanes=2))
    assert core.latency == columns + 5 < core.capacity
