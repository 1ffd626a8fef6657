# amaranth: UnusedElaboratable=no

import re

import pytest
from amaranth.back import rtlil
from amaranth.hdl import IOPort

from boards.board import BOARDS, by_number, get
from boards.dram.pads import PADS
from boards.system import System
from host.errors import UserError
from sim.checkers.attach import memories_unset


EVERY = pytest.mark.parametrize("board", BOARDS.values(), ids=BOARDS)


def test_unknown():
    with pytest.raises(UserError, match=f"^BOARD must be one of {', '.join(BOARDS)}; not 'ulx3s'$"):
        get("ulx3s")


def test_numbers():
    assert [by_number(board.number) for board in BOARDS.values()] == list(BOARDS.values())
    assert by_number(0) is None


@EVERY
def test_configuration(board):
    """It says of clock and memory what the board does."""
    config = board.config
    assert config.clock_mhz == board.clock_mhz
    assert config.dram_peak == pytest.approx(board.dram.peak)
    assert board.peak <= board.dram.peak


@EVERY
def test_baud(board):
    # The receiver takes 4 % from a sender whose clock is right.
    assert board.clock_mhz * 1e6 / board.divisor == pytest.approx(board.baud, rel=0.01)


@pytest.mark.seconds(1)
@EVERY
def test_pins(board):
    """Every pin of memory and serial line is placed, no two at the same one, and the board's clock
    is known.
    """
    lpf = (
        board.platform()
        .prepare(board.top(machine=False), "headrace", emit_src=False)
        .files["headrace.lpf"]
    )
    sites = dict(re.findall(r'LOCATE COMP "(\S+)" SITE "(\S+)"', lpf))
    assert len(set(sites.values())) == len(sites)
    memory = {"sdr": "sdram_0__", "ddr3": "ddr3_0__"}[board.dram.kind]
    count = sum(name.startswith(memory) for name in sites)
    # Data, masks, strobes or none, banks, rows, and six or more others.
    assert (
        count
        >= 16
        + 2
        + {"sdr": 0, "ddr3": 2}[board.dram.kind]
        + board.dram.chip.bank_bits
        + board.dram.chip.row_bits
        + 6
    )
    assert {"uart_0__rx__io", "uart_0__tx__io"} <= set(sites)
    (clock,) = re.findall(r'FREQUENCY PORT "\S+" (\S+) HZ', lpf)
    assert float(clock) == board.dram.input_mhz * 1e6


@pytest.mark.seconds(1)
def test_orangecrab_strobes():
    """Where amaranth-boards errs: positive halves of pairs, of which the FPGA has no others near
    their data.
    """
    board = get("orangecrab-85f")
    lpf = (
        board.platform()
        .prepare(board.top(machine=False), "headrace", emit_src=False)
        .files["headrace.lpf"]
    )
    sites = dict(re.findall(r'LOCATE COMP "(\S+)" SITE "(\S+)"', lpf))
    assert [sites[f"ddr3_0__dqs__p[{n}]"] for n in range(2)] == ["B15", "G18"]
    assert [sites[f"ddr3_0__ba__io[{n}]"] for n in range(3)] == ["D6", "B7", "A6"]


def test_pins_not_installed(monkeypatch):
    def missing(name):
        raise ModuleNotFoundError(f"No module named {name!r}", name="amaranth_boards")

    monkeypatch.setattr("boards.board.import_module", missing)
    with pytest.raises(
        UserError,
        match=r"^bitstreams need amaranth-boards, which is not installed; run `make "
        r"install FOR=boards`, or pip install 'headrace\[boards,synth\]'$",
    ):
        get("ulx3s-85f").platform()


def pads(board):
    return {
        name: IOPort(
            {"dq": 16, "a": board.dram.chip.row_bits, "ba": board.dram.chip.bank_bits}.get(name, 2),
            name=name,
        )
        for name in PADS[board.dram.kind]
    }


@pytest.mark.seconds(10)
@pytest.mark.parametrize("machine", [False, True])
@EVERY
def test_system(board, machine):
    """It is the same on all boards, but for the accelerator that may be left away, and clocks."""
    system = System(board, pads(board), machine=machine)
    with memories_unset():
        text = rtlil.convert(system, name="top", emit_src=False)
    assert machine == ("module \\top.machine" in text)
    assert {name for name in system.signature.members} - {
        "rx",
        "tx",
        "initialised",
        "sealed",
        "busy",
    } == (set() if board.dram.kind == "sdr" else {"clk_in", "rst_in", "user_clk", "user_rst"})
