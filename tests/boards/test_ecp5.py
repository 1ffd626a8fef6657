# amaranth: UnusedElaboratable=no

import re

import pytest
from amaranth.back import rtlil

from boards.board import BOARDS
from boards.ecp5 import Pll, divisors


@pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)
def test_clocks_of_boards(board):
    check(board.dram.input_mhz, board.clock_mhz)


@pytest.mark.parametrize("input_mhz", [12.0, 25.0, 48.0, 100.0])
@pytest.mark.parametrize("output_mhz", [50.0, 75.0, 80.0, 100.0, 120.0])
def test_divisors(input_mhz, output_mhz):
    check(input_mhz, output_mhz)


def check(input_mhz, output_mhz):
    before, feedback, output = divisors(input_mhz, output_mhz)
    oscillator = input_mhz / before * feedback
    assert oscillator / output == pytest.approx(output_mhz, rel=1e-9)
    assert 400 <= oscillator <= 800 and input_mhz / before >= 8
    assert 1 <= feedback <= 128 and 1 <= output <= 128


@pytest.mark.parametrize("output_mhz", [80.123, 0.1, 1000.0])
def test_cannot_be_made(output_mhz):
    with pytest.raises(
        ValueError, match=f"^Clock must be one that can be made of 25.0 MHz, not {output_mhz} MHz$"
    ):
        Pll(25.0, output_mhz)


@pytest.mark.parametrize("phase", [-1, 360])
def test_phase_wrong(phase):
    with pytest.raises(ValueError, match=f"^Phase must be from 0 to 360 degrees, not {phase}$"):
        Pll(25.0, 80.0, phase)


@pytest.mark.parametrize("phase, whole, eighths", [(0, 0, 0), (90, 2, 4), (180, 5, 0), (355, 9, 7)])
def test_phase(phase, whole, eighths):
    """In periods of the oscillator at 800 MHz, ten of which are one of the clock, and in eighths of
    them.
    """
    text = rtlil.convert(Pll(25.0, 80.0, phase), name="top", emit_src=False)

    def parameter(name):
        return int(re.search(rf"parameter \\{name} (\d+)", text)[1])

    assert (parameter("CLKOS_CPHASE") - parameter("CLKOP_CPHASE"), parameter("CLKOS_FPHASE")) == (
        whole,
        eighths,
    )
