"""The driver for cards, compiled against an XRT that is not real."""

import ctypes
import subprocess
from pathlib import Path

import numpy as np
import pytest

from boards.export import xrt_device
from boards.export.xrt_device import LIBRARY, XrtDevice
from headrace import devices
from host.device import DeviceError
from rtl.spec.config import get
from tests.host.fake import answer
from tests.host.link.test_device import image_of

from .machine import Machine


SMALL = get("small")
HEADERS = Path(__file__).parent / "fake_xrt"
SOURCE = Path(xrt_device.__file__).with_name("headrace_xrt.cpp")
ADDRESS = 0x1_4000_0000

READ = ctypes.CFUNCTYPE(ctypes.c_uint32, ctypes.c_uint32)
WRITE = ctypes.CFUNCTYPE(None, ctypes.c_uint32, ctypes.c_uint32)
SYNCED = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_uint64, ctypes.c_int)


class Fake(ctypes.Structure):
    _fields_ = [
        ("read", READ),
        ("write", WRITE),
        ("synced", SYNCED),
        ("address", ctypes.c_uint64),
        ("banks", ctypes.c_int32),
        ("used", ctypes.c_int32),
    ]


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    path = tmp_path_factory.mktemp("xrt") / LIBRARY
    subprocess.run(
        [
            "g++",
            "-std=c++17",
            "-Wall",
            "-Wextra",
            "-Werror",
            "-shared",
            "-fPIC",
            f"-I{HEADERS}",
            str(SOURCE),
            "-o",
            str(path),
        ],
        check=True,
    )
    return path


class Card:
    """What is behind the library: the machine, and what was synchronized."""

    def __init__(self, library, address=ADDRESS, used=7):
        self.xclbin, self.machine, self.synced = (
            library.with_name("headrace.xclbin"),
            Machine(SMALL),
            [],
        )
        self.xclbin.write_text("")
        self.lib = ctypes.CDLL(str(library))
        self.fake = Fake(
            READ(self.machine.read),
            WRITE(self.machine.write),
            SYNCED(
                lambda data, size, bank: self.synced.append((ctypes.string_at(data, size), bank))
            ),
            address,
            32,
            used,
        )
        self.lib.fake_xrt(ctypes.byref(self.fake))

    @property
    def buffers(self):
        return self.lib.fake_xrt_buffers()


@pytest.fixture
def plug(library):
    """A card in its slot until the test has ended. The library calls it, which Python does not see:
    without this list, a garbage collection in the middle of a test freed what is called."""
    cards = []

    def plug(**options):
        cards.append(Card(library, **options))
        return cards[-1]

    return plug


@pytest.mark.seconds(5)
def test_steps(plug):
    card = plug()
    with devices.create(f"xrt:{card.xclbin}", SMALL) as device:
        image = image_of()
        device.load(image)
        # In the bank that the kernel is connected to.
        assert card.synced == [
            (image.memory.tobytes() + bytes(64 * image.memory_units - len(image.memory)), 7)
        ]
        assert card.machine.base == ADDRESS and card.machine.events == ["reset"]
        fed = [5, 9, 2]
        for position, token in enumerate(fed):
            step = device.step([token], position, head=position == len(fed) - 1)
        assert step.ids[0] == answer(fed) and step.logits[0] == np.float32(10.0)
        device.load(image_of(seed=1))
        assert card.machine.events[-2:] == ["reset", "reset"] and card.buffers == 1
    assert card.buffers == 0
    device.close()
    with pytest.raises(DeviceError, match="closed$"):
        device.read(0)


def test_nothing_is_freed_while_the_machine_is_busy(plug, monkeypatch):
    monkeypatch.setattr("host.device.PATIENCE", 0.01)
    card = plug()
    device = XrtDevice(SMALL, card.xclbin)
    device.load(image_of())
    card.machine.board.registers[0x14] = 1
    with pytest.raises(DeviceError, match="still busy"):
        device.close()
    assert card.buffers == 1
    card.machine.board.registers[0x14] = 0
    device.close()
    assert card.buffers == 0


def test_too_large(plug):
    with XrtDevice(SMALL, plug().xclbin) as device:
        with pytest.raises(
            DeviceError, match=r"^xrt:.*: unable to allocate BO: Cannot allocate memory$"
        ):
            device.load(image_of(units=300, behind=5 << 20))


@pytest.mark.parametrize(
    "options, card, message",
    [
        ({"used": 99}, 0, "no memory is connected to the kernel$"),
        ({}, 3, "Could not open device with index '3'$"),
    ],
)
def test_cannot_be_opened(plug, options, card, message):
    with pytest.raises(DeviceError, match=message):
        XrtDevice(SMALL, plug(**options).xclbin, card=card)


def test_address_wrong(plug):
    with XrtDevice(SMALL, plug(address=ADDRESS + 64).xclbin) as device:
        with pytest.raises(
            DeviceError, match="memory must be at a multiple of 4096, not at 0x140000040$"
        ):
            device.load(image_of())


def test_library_elsewhere(plug, library, tmp_path, monkeypatch):
    xclbin = tmp_path / "headrace.xclbin"
    with pytest.raises(
        DeviceError, match="headrace.xclbin must be a file, but is not; xrt.mk makes it with v"
    ):
        XrtDevice(SMALL, xclbin)
    xclbin.write_text("")
    with pytest.raises(
        DeviceError, match=f"{LIBRARY} must be a file, but is not; xrt.mk makes it with XRT$"
    ):
        XrtDevice(SMALL, xclbin)
    (tmp_path / LIBRARY).write_text("")
    with pytest.raises(DeviceError, match="Is XRT installed, and its setup.sh sourced"):
        XrtDevice(SMALL, xclbin)
    plug()
    monkeypatch.setenv("HEADRACE_XRT", str(library))
    XrtDevice(SMALL, xclbin).close()
