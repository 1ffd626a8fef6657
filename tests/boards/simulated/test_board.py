"""The simulated ULX3S, from its pins on: the host's own commands reach it through a
pseudo-terminal.
"""

import json
import re
import sys
import threading
import zlib
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from random import Random

import numpy as np
import pytest

from boards import board as boards
from boards.device import PATIENCE, ControlBus
from boards.dram.initialise import initialise, is_up
from boards.simulated.__main__ import main as command
from boards.simulated.board import SimulatedBoard
from boards.simulated.sdram import MT48LC16M16_75 as CHIP
from headrace.cli import main
from headrace.library.models import load
from host.device import DeviceError
from host.errors import UserError
from host.link.client import Client
from host.link.serial import SerialPort


# The first to come builds the simulation, for a minute and a half; it is the same for all.
pytestmark = pytest.mark.seconds(150)

BOARD = boards.get("ulx3s-85f")
BOARD = replace(BOARD, baud=round(BOARD.clock_mhz * 1e6 / 4))  # as fast as the link goes
BAUD = 19_200  # of a line that is as slow as the simulation
SECONDS = "120"


@contextmanager
def running(**options):
    """A simulated board, and the errors that ended it."""
    with SimulatedBoard(BOARD, **options) as board:
        stop, errors = threading.Event(), []

        def simulate():
            try:
                board.run(stop.is_set)
            except DeviceError as error:
                errors.append(str(error))
                print(
                    error, file=sys.stderr
                )  # before the host's, which knows only that nobody answers

        thread = threading.Thread(target=simulate)
        thread.start()
        try:
            yield board, errors
        finally:
            stop.set()
            thread.join()


@contextmanager
def linked(board):
    port = SerialPort(board.path, BAUD)
    try:
        yield Client(port, name="board", patience=float(SECONDS))
    finally:
        port.close()


TINY = ["--model", "tiny", "--config", "ulx3s-85f"]


@cache
def tiny():
    """What the memory holds once the model has been loaded."""
    image = load("tiny").image("ulx3s-85f")
    return np.frombuffer(bytes(image.memory), np.uint8)


def run(device, capsys):
    """What `headrace run` says: tokens, and all logits that there are."""
    assert (
        main(["run", *TINY, "--device", device, "--prompt", "The", "--tokens", "2", "--json"]) == 0
    )
    said = json.loads(capsys.readouterr().out)
    assert len(said["token_ids"]) == 2
    return {
        name: said[name] for name in ("prompt_ids", "token_ids", "text", "top_ids", "top_logits")
    }


@pytest.mark.parametrize("faults", [0.0, 0.001])
def test_tokens(faults, capsys, monkeypatch):
    """The functional model's tokens, whatever becomes of the bytes between.

    The memory has the image from an earlier time, so that it is compared and not sent.
    """
    monkeypatch.setenv(PATIENCE, SECONDS)
    with running(faults=faults) as (board, errors):
        board.memory[: len(tiny())] = tiny()
        assert run(f"uart:{board.path}:{BAUD}", capsys) == run("model", capsys)
        assert not errors
        statistics = board.statistics()
    # It came out of the memory, by the beat, for each token; and few bytes came over the line.
    assert 2 * statistics["reads"] > 2 * len(tiny()) and statistics["received"] < 20_000
    assert (min(statistics[name] for name in ("lost", "doubled", "damaged")) > 0) == bool(faults)


@pytest.mark.parametrize("faults", [0.0, 0.001])
def test_memory(faults):
    """What is stored is in the chip, and is summed up from there, close to the rate of its data
    lines.
    """
    data = Random(faults).randbytes(16 << 10)
    with running(faults=faults) as (board, errors), linked(board) as link:
        link.hello()
        assert not is_up(ControlBus(link), BOARD.dram)
        assert initialise(ControlBus(link), BOARD.dram) == []
        assert initialise(ControlBus(link), BOARD.dram) is None
        # Across a row's end, and up to that of the chip.
        for at in (1 << 10) - 256, CHIP.bytes - len(data):
            link.store(at // 64, data)
            assert board.memory[at : at + len(data)].tobytes() == data
        assert link.check((CHIP.bytes - len(data)) // 64, len(data) // 64) == zlib.crc32(data)
        before = board.statistics()
        units = 4096
        assert link.check(0, units) == zlib.crc32(board.memory[: 64 * units])
        after = board.statistics()
        assert not errors
    # Rows that are opened and refreshes take the rest; repeats read again.
    transfers, cycles = after["reads"] - before["reads"], after["cycles"] - before["cycles"]
    assert transfers >= 64 * units // 2 and (faults or transfers / cycles > 0.9)


def test_access_before_initialisation():
    """Memory that nobody has brought up takes no access, and the chip hears none."""
    with running() as (board, errors), linked(board) as link:
        link.hello()
        with pytest.raises(DeviceError, match="its bus failed. Is its memory initialized"):
            link.check(0, 1)
        assert not errors and board.statistics()["activates"] == 0


def test_violation_stops_it():
    """A chip that is slower than the controller believes: the simulation says so, and ends."""
    with running(sdram=replace(CHIP, rcd=1_000_000)) as (board, errors), linked(board) as link:
        link.hello()
        initialise(ControlBus(link), BOARD.dram)
        link.patience = 2.0
        with pytest.raises(DeviceError, match="no answer to STORE"):
            link.store(0, bytes(64))
    assert len(errors) == 1 and re.fullmatch(
        r"memory: [\d.]+ us: tRCD is [\d.]+ ns, must be 1000.00 ns", errors[0]
    )


@pytest.mark.parametrize(
    "board, options, message",
    [
        (boards.get("ecpix5-85f"), {}, "^simulated boards are ulx3s-85f; not 'ecpix5-85f'$"),
        (BOARD, {"faults": 0.5}, "^the rate of faults must be from 0 to 1/3, not 0.5$"),
    ],
)
def test_wrong(board, options, message):
    with pytest.raises(UserError, match=message):
        SimulatedBoard(board, **options)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["ulx3s"], "board: BOARD must be one of ulx3s-85f, "),
        (["ecpix5-85f"], "board: simulated boards are ulx3s-85f; not 'ecpix5-85f'"),
        (["--faults", "1"], "board: the rate of faults must be from 0 to 1/3, not 1.0"),
    ],
)
def test_command_wrong(arguments, message, capsys):
    assert command(arguments) == 2
    assert capsys.readouterr().err.startswith(message)
