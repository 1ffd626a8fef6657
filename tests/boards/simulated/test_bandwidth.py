"""Controllers come close to what their memory's data lines carry, at the width of the machine."""

import pytest

from boards import board as boards
from boards.simulated.bandwidth import bytes_per_cycle, main


@pytest.mark.seconds(15)
@pytest.mark.parametrize("name, least", [("ecpix5-85f", 7.4), ("ulx3s-85f", 1.9)])
def test_rate(name, least):
    """Beats of 64 bits are not converted one by one, which were 0.77 bytes a cycle. Refreshes of
    a 4 Gb DDR3 chip take 260 ns, as it says, and not 1300, as LiteDRAM's own entry has it.
    """
    board = boards.get(name)
    assert least < bytes_per_cycle(board) <= board.dram.peak / board.clock_mhz / 1e6


def test_unknown(capsys):
    assert main(["ulx3s"]) == 2
    assert "BOARD must be one of" in capsys.readouterr().err
