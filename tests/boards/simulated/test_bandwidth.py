"""DDR3 controllers come close to what their memory's data lines carry."""

import pytest

from boards import board as boards
from boards.simulated.bandwidth import bytes_per_cycle, main
from host.errors import UserError


@pytest.mark.seconds(15)
def test_ddr3():
    """Refreshes of a 4 Gb chip take 260 ns, as it says, and not 1300, as LiteDRAM's own entry has
    it.
    """
    board = boards.get("ecpix5-85f")
    assert 0.9 < bytes_per_cycle(board) / 8 <= 1


def test_sdr(capsys):
    with pytest.raises(
        UserError, match="^the bandwidth of ulx3s-85f is measured on the simulated board"
    ):
        bytes_per_cycle(boards.get("ulx3s-85f"))
    assert main(["ulx3s"]) == 2
    assert "BOARD must be one of" in capsys.readouterr().err
