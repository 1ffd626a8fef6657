# amaranth: UnusedElaboratable=no

import pytest

from boards.dram.board_memory import BoardMemory
from boards.dram.controller import DramController
from rtl.spec import config as configs

from .test_generate import pads


SMALL, SDR = (
    configs.get("small"),
    BoardMemory(part="IS42S16160", device="LFE5U-85F-6BG381C", clock_mhz=80.0),
)


def test_wrong():
    with pytest.raises(TypeError, match="^Configuration must be a Config, not 'small'$"):
        DramController("small", SDR, pads(SDR))
    with pytest.raises(TypeError, match="^Memory must be a BoardMemory, not 'sdr'$"):
        DramController(SMALL, "sdr", pads(SDR))
    some = pads(SDR)
    del some["dq"]
    with pytest.raises(
        ValueError, match="^Pads of a memory of kind 'sdr' must be cke, .*, dq, not cke, .*, dm$"
    ):
        DramController(SMALL, SDR, some)
    with pytest.raises(ValueError, match="^Address width must be at least 25, not 24$"):
        DramController(SMALL, SDR, pads(SDR), addr_width=24)
