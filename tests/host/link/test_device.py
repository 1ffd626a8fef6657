"""A board as a device of the host, at a port that the operating system believes to be one."""

import json
import os
import pty
import threading
from random import Random
from types import SimpleNamespace

import numpy as np
import pytest

from headrace import devices
from headrace.cli import main
from headrace.library import images
from host.device import DeviceError
from host.errors import UserError
from host.link import serial as serial_port
from host.link.client import LinkError
from host.link.device import UartDevice, address
from rtl.spec.config import get
from rtl.spec.csr import REGISTERS
from tests.mapper import synthetic

from .. import fake
from .board import STORE, Board, Noise, PtyBoard


SMALL = get("small")
QUICK = {"timeout": 0.02, "patience": 1.0}
CONTROL = REGISTERS["CONTROL"].address


def ends(call):
    """What `call` returns or raises. A call that hangs fails the test, and not all tests."""
    result = []

    def work():
        try:
            result.append(call())
        except BaseException as error:
            result.append(error)

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(120)
    assert result, "the call does not end"
    if isinstance(result[0], BaseException):
        raise result[0]
    return result[0]


def image_of(units=300, config=SMALL, seed=0, behind=50):
    memory = np.frombuffer(Random(seed).randbytes(64 * units - 3), np.uint8)
    return SimpleNamespace(
        digest=config.digest,
        lacks=lambda config: None,
        formats=["U4", "S8"],
        memory=memory,
        memory_units=units + behind,
        writable=(units, units + behind),
        program=3,
        length=5,
        vocab=1000,
        model={"logit_cap": 0.0},
    )


def device(board, **options):
    return UartDevice(SMALL, board.path, link={**QUICK, **options})


# Everything together


@pytest.fixture
def model(tmp_path, monkeypatch):
    monkeypatch.setattr(images, "cache", lambda: tmp_path / "cache")
    return synthetic.write(tmp_path / "tiny.gguf", kinds={"token_embd.weight": synthetic.Type.Q8_0})


@pytest.mark.seconds(5)
@pytest.mark.parametrize(
    "noise", [{}, {"corrupt": 0.001, "drop": 0.0005, "double": 0.0005, "insert": 0.0005}]
)
def test_run(model, capsys, noise):
    board = Board(SMALL, units=1 << 16)
    with PtyBoard(board, Noise(1, **noise)) as port:

        def run():
            board.machine = fake.FakeDevice()
            assert (
                main(
                    [
                        "run",
                        "--model",
                        str(model),
                        "--prompt",
                        "hello world",
                        "--tokens",
                        "4",
                        "--json",
                        "--device",
                        f"uart:{port.path}:115200",
                        "--greedy",
                        "--config",
                        "small",
                    ]
                )
                == 0
            )
            return json.loads(capsys.readouterr().out)

        result = ends(run)
        ids = result["prompt_ids"]
        for token in result["token_ids"]:
            assert token == fake.answer(ids)
            ids.append(token)
        assert len(result["token_ids"]) == 4 and result["cycles"] == [2000] + [1000] * 3
        assert [len(x) for x in result["top_ids"]] == [64] * 4
        # What the board holds already is not sent again.
        board.executed.clear()
        assert ends(run)["token_ids"] == result["token_ids"]
        assert STORE not in [op for op, _ in board.executed]


def test_errors_are_one_line(model, capsys):
    with PtyBoard(Board(SMALL, units=10)) as port:
        code = ends(
            lambda: main(
                ["run", "--model", str(model), "--device", f"uart:{port.path}", "--config", "small"]
            )
        )
    out, err = capsys.readouterr()
    assert code == 2 and out == "" and err.count("\n") == 1
    assert err.startswith(f"headrace: uart:{port.path}: the image needs")


# Loading


@pytest.mark.parametrize("rate", [0, 0.001, 0.01])
def test_memory_is_the_image(rate):
    board = Board(SMALL, units=1000)
    before, image = bytes(board.memory), image_of()
    with PtyBoard(board, Noise(rate, corrupt=rate)) as port, device(port, patience=30.0) as uart:
        ends(lambda: uart.load(image))
        assert board.memory[: 64 * 300 - 3] == image.memory.tobytes()
        assert board.memory[64 * 300 :] == before[64 * 300 :]
        assert (uart.board, uart.memory_units) == (77, 1000)
        assert uart.get("PROGRAM") == 3 and uart.get("MEMORY") == 350
        assert uart.get("WRITE_FIRST") == 300 and uart.get("WRITE_END") == 350
        ends(lambda: uart.step([5], 0, True))
        assert board.starts == 1


def test_what_does_not_fit_is_not_sent():
    wide = get("wide")
    for board, image, message in [
        (
            Board(SMALL, units=200),
            image_of(units=190, behind=20),
            "the image needs 0 MiB, but the board's memory",
        ),
        (Board(wide), image_of(), "the device has configuration digest"),
        (Board(SMALL), image_of(config=wide), "but the image was compiled for"),
        (Board(), image_of(), "register IDENTITY must be"),
    ]:
        with PtyBoard(board) as port, device(port) as uart:
            with pytest.raises(DeviceError, match=message):
                ends(lambda: uart.load(image))
            assert STORE not in [op for op, _ in board.executed]


def test_a_partly_loaded_image_is_not_started():
    board = Board(SMALL, units=1000)
    with PtyBoard(board) as port, device(port) as uart:
        ends(lambda: uart.load(image_of()))
        board.broken_from = 150
        with pytest.raises(DeviceError, match="does not keep what is stored there"):
            ends(lambda: uart.load(image_of(seed=1)))
        with pytest.raises(LinkError, match="refuses to start"):
            ends(lambda: uart.write(CONTROL, 1))
        assert board.starts == 0


# Ports and boards that fail


@pytest.mark.parametrize("after", [1, 60, 5000, 15_000])
def test_unplugged(after):
    board = Board(SMALL, units=1000)
    port = PtyBoard(board)
    port.after = after, port.unplug

    def load():
        with device(port) as uart:
            uart.load(image_of())

    with pytest.raises(DeviceError, match="the port is gone|there is no such port|no answer to"):
        ends(load)
    assert board.starts == 0
    with pytest.raises(DeviceError, match="there is no such port. Is the board plugged in"):
        device(port)


def test_unplugged_while_idle():
    port = PtyBoard(Board(SMALL, units=1000))
    with device(port) as uart:
        ends(lambda: uart.load(image_of()))
        port.unplug()
        for _ in range(2):
            with pytest.raises(
                DeviceError, match="the port is gone .* Plug the cable in, and load the image again"
            ):
                ends(lambda: uart.step([1], 0, True))
        uart.close()


def test_reset_while_loading():
    board = Board(SMALL, units=1000)
    with PtyBoard(board) as port, device(port) as uart:
        port.after = 15_000, board.reset
        with pytest.raises(LinkError, match="was reset meanwhile"):
            ends(lambda: uart.load(image_of()))
        with pytest.raises(LinkError, match="was reset meanwhile"):
            ends(lambda: uart.write(CONTROL, 1))
    with PtyBoard(board) as port, device(port) as uart:
        ends(lambda: uart.load(image_of()))
        ends(lambda: uart.step([1], 0, False))
    assert board.starts == 1


def test_silent_from_the_start_and_later():
    board = Board(SMALL, units=1000)
    with PtyBoard(board) as port:
        port.silent = True
        with pytest.raises(
            DeviceError, match="no answer to HELLO .* Is the bitstream loaded, the cable in"
        ):
            ends(lambda: device(port))
        port.silent = False
        with device(port) as uart:
            port.after = 15_000, lambda: setattr(port, "silent", True)
            with pytest.raises(DeviceError, match="no answer to STORE"):
                ends(lambda: uart.load(image_of()))


def test_a_port_that_takes_nothing(monkeypatch):
    monkeypatch.setattr(serial_port, "WRITE_PATIENCE", 0.3)
    master, slave = pty.openpty()  # where nobody reads
    try:
        port = serial_port.SerialPort(os.ttyname(slave), 115200)
        with pytest.raises(DeviceError, match="the port takes no bytes"):
            ends(lambda: [port.write(bytes(10_000)) for _ in range(100)])
        port.close()
        port.close()
        for use in (lambda: port.write(b"1"), lambda: port.read(0)):
            with pytest.raises(DeviceError, match="the port is gone"):
                use()
    finally:
        os.close(master)
        os.close(slave)


def test_ports_that_do_not_open(tmp_path):
    (tmp_path / "file").write_text("")
    for path, message in [
        ("/dev/no-such-port", "there is no such port. Is the board plugged in?"),
        (tmp_path / "file", "does not open as a serial port at 1000000 baud"),
        (tmp_path, "does not open as a serial port|no such port"),
    ]:
        with pytest.raises(DeviceError, match=message) as caught:
            UartDevice(SMALL, str(path))
        assert str(path) in str(caught.value) and "\n" not in str(caught.value)
    with PtyBoard(Board(SMALL)) as port, device(port):
        with pytest.raises(DeviceError, match="another program uses the port. Close it"):
            device(port)
    assert "group" in serial_port._why(PermissionError(13, "Permission denied"), 9600)


@pytest.mark.parametrize(
    "port, path, baud",
    [
        ("/dev/ttyUSB0", "/dev/ttyUSB0", 1_000_000),
        ("/dev/ttyUSB0:3000000", "/dev/ttyUSB0", 3_000_000),
        ("/dev/serial/by-path/pci-0000:00:14.0-usb-0:2:1.0-port0", None, 1_000_000),
        (
            "/dev/serial/by-path/pci-0000:00:14.0-usb-0:2:1.0-port0:9600",
            "/dev/serial/by-path/pci-0000:00:14.0-usb-0:2:1.0-port0",
            9600,
        ),
        ("COM3", "COM3", 1_000_000),
    ],
)
def test_address(port, path, baud):
    assert address(port) == (path or port, baud)


@pytest.mark.parametrize("port", ["/dev/ttyUSB0:0", "/dev/ttyUSB0:99999999", ":115200"])
def test_address_wrong(port):
    with pytest.raises(DeviceError, match="PATH or PATH:BAUD"):
        address(port)


# Names of devices


@pytest.mark.parametrize(
    "name, kind, place", [("model", "model", ""), ("uart:/dev/x:9600", "uart", "/dev/x:9600")]
)
def test_names(name, kind, place):
    assert devices.parts(name) == (kind, place)


@pytest.mark.parametrize("name", ["uart", "uart:", "model:1", "sim:", "usart:/dev/x", "", ":"])
def test_names_wrong(name):
    with pytest.raises(
        UserError, match=r"^device must be one of model, sim, uart:PORT\[:BAUD\], such as "
    ):
        devices.create(name, SMALL)
