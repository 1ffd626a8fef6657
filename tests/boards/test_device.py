"""Boards as devices: their memory is brought up before an image is loaded, once."""

import pytest

from boards import board as boards, device as devices
from boards.device import PATIENCE, BoardDevice
from boards.dram.registers import REGISTERS
from headrace.devices import create
from host.device import DeviceError

from ..host.link.board import WRITE, Board, PtyBoard
from ..host.link.test_device import QUICK, SMALL, image_of


ULX3S = boards.get("ulx3s-85f")
DONE = REGISTERS["sdr"]["ddrctrl_init_done"][0]
CONTROL = REGISTERS["sdr"]["sdram_dfii_control"][0]


@pytest.fixture
def port():
    with PtyBoard(Board(SMALL, units=1000)) as port:
        yield port


def test_brought_up_once(port, monkeypatch):
    monkeypatch.setattr(devices, "by_number", {77: ULX3S}.get)
    image = image_of()
    with BoardDevice(SMALL, port.path, link=QUICK) as device:
        device.load(image)
        assert (port.board.control[DONE], port.board.control[CONTROL]) == (1, 1)
        assert (
            port.board.memory[: len(image.memory)] == image.memory.tobytes() and port.board.sealed
        )
        # The next image finds it up: nothing is written in the space CONTROL, which would break the
        # seal.
        port.board.control[CONTROL] = 0x55
        device.load(image)
        assert port.board.control[CONTROL] == 0x55 and port.board.sealed


def test_nothing_is_sent_before_the_image_is_known_to_fit(port, monkeypatch):
    monkeypatch.setattr(devices, "by_number", {77: ULX3S}.get)
    with BoardDevice(SMALL, port.path, link=QUICK) as device:
        with pytest.raises(
            DeviceError, match="the image needs 0 MiB, but the board's memory has 0"
        ):
            device.load(image_of(units=990, behind=20))
    assert WRITE not in [op for op, _ in port.board.executed]


def test_board_that_nobody_knows(port):
    """77 is no number of ours: its memory is left as it is."""
    with create(f"uart:{port.path}", SMALL, link=QUICK) as device:
        device.load(image_of())
    assert port.board.control == {} and port.board.sealed


@pytest.mark.parametrize("text, seconds", [("0.25", 0.25), ("60", 60.0), (None, 5.0)])
def test_patience(port, monkeypatch, text, seconds):
    monkeypatch.delenv(PATIENCE, raising=False)
    if text is not None:
        monkeypatch.setenv(PATIENCE, text)
    with BoardDevice(SMALL, port.path) as device:
        assert device.link.patience == seconds


@pytest.mark.parametrize("text", ["", "soon", "0", "-1", "nan", "inf"])
def test_patience_wrong(port, monkeypatch, text):
    monkeypatch.setenv(PATIENCE, text)
    with pytest.raises(
        DeviceError, match=f"^HEADRACE_PATIENCE must be a positive number of seconds, not '{text}'$"
    ):
        BoardDevice(SMALL, port.path)
