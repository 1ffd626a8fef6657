"""The driver for boards with PYNQ, with a module of that name which is not real."""

import sys

import numpy as np
import pytest

from boards.export.pynq_device import PynqDevice
from headrace import devices
from host.device import DeviceError
from rtl.spec.config import get
from tests.host.fake import answer
from tests.host.link.test_device import image_of

from .fake_pynq import ADDRESS, Pynq
from .machine import Machine


SMALL = get("small")


@pytest.fixture
def bitfile(tmp_path):
    for name in "headrace.bit", "headrace.hwh":
        (tmp_path / name).write_text("")
    return tmp_path / "headrace.bit"


@pytest.fixture
def pynq(monkeypatch):
    """Install a module; gives a function that does."""

    def install(**options):
        module = Pynq(Machine(SMALL), **options)
        monkeypatch.setitem(sys.modules, "pynq", module)
        return module

    return install


def test_steps(bitfile, pynq):
    pynq = pynq()
    with devices.create(f"pynq:{bitfile}", SMALL) as device:
        assert pynq.loaded == [str(bitfile)]
        image = image_of()
        device.load(image)
        # The image, and zeros behind it, were out of the caches before anything started.
        assert pynq.flushed == image.memory.tobytes() + bytes(
            64 * image.memory_units - len(image.memory)
        )
        assert pynq.machine.base == ADDRESS and pynq.machine.events == ["reset"]
        fed = [5, 9, 2]
        for position, token in enumerate(fed):
            step = device.step([token], position, head=position == len(fed) - 1)
        assert step.ids[0] == answer(fed) and step.cycles == 1000
        assert step.logits[0] == np.float32(10.0)
    assert pynq.freed == [ADDRESS]


def test_memory_is_kept_until_nothing_uses_it(bitfile, pynq):
    pynq = pynq()
    device = PynqDevice(SMALL, bitfile)
    device.load(image_of())
    first, freed = pynq.buffer, []
    pynq.machine.events.clear()
    first.freebuffer = lambda: freed.append(list(pynq.machine.events))
    device.load(image_of(seed=1))
    assert freed == [["reset"]] and pynq.buffer is not first
    device.close()
    device.close()
    assert pynq.machine.events[-1] == "reset" and pynq.freed == [ADDRESS]


def test_nothing_is_freed_while_the_machine_is_busy(bitfile, pynq, monkeypatch):
    monkeypatch.setattr("host.device.PATIENCE", 0.01)
    pynq = pynq()
    device = PynqDevice(SMALL, bitfile)
    device.load(image_of())
    pynq.machine.board.registers[0x14] = 1
    with pytest.raises(DeviceError, match="still busy"):
        device.close()
    assert not pynq.freed


@pytest.mark.parametrize(
    "options, message",
    [
        (
            {"room": 4096},
            "the image needs 0 MiB in one piece, which the system does not have .*cma=",
        ),
        ({"address": ADDRESS + 64}, "memory must be at a multiple of 4096, not at 0x492345040$"),
    ],
)
def test_memory_wrong(bitfile, pynq, options, message):
    pynq(**options)
    with pytest.raises(DeviceError, match=message):
        PynqDevice(SMALL, bitfile).load(image_of())


def test_another_block(bitfile, pynq):
    pynq(blocks={"ps": {}, "dma": {}})
    with pytest.raises(
        DeviceError, match="the bitstream must have a block 'headrace', but has ps, dma$"
    ):
        PynqDevice(SMALL, bitfile)


def test_another_configuration(bitfile, pynq):
    pynq()
    with pytest.raises(DeviceError, match="the device has configuration digest "):
        PynqDevice(get("wide"), bitfile).load(image_of(config=get("wide")))


def test_not_on_the_board(bitfile, monkeypatch):
    monkeypatch.setitem(sys.modules, "pynq", None)
    with pytest.raises(
        DeviceError, match="the package pynq is not installed. This must run on the board"
    ):
        PynqDevice(SMALL, bitfile)


@pytest.mark.parametrize("name", ["headrace.bit", "headrace.hwh"])
def test_file_missing(bitfile, pynq, name):
    pynq()
    bitfile.with_name(name).unlink()
    with pytest.raises(
        DeviceError, match=f"{name} must be a file, but is not; build.tcl makes it$"
    ):
        PynqDevice(SMALL, bitfile)
