"""What is said of a board over its link, good and broken."""

from dataclasses import replace

import pytest

from boards import board as boards, examination
from boards.dram.registers import REGISTERS
from boards.examination import examine, has_accelerator

from ..host.link.board import Board, client


ULX3S = boards.get("ulx3s-85f")
DONE = REGISTERS["sdr"]["ddrctrl_init_done"][0]
STEPS = ["link", "board", "accelerator", "memory", "data lines", "address lines", "line"]


@pytest.fixture(autouse=True)
def known(monkeypatch):
    """The board at the other end has the number 77."""
    monkeypatch.setattr(examination, "by_number", {77: ULX3S}.get)


def found(board, **options):
    return {what: (came, mend) for what, came, mend in examine(client(board, **options))}


def test_good():
    board = Board(ULX3S.config)
    said = found(board)
    assert list(said) == STEPS and all(mend is None for _, mend in said.values())
    assert said["board"][0] == "ulx3s-85f, 0 MiB"
    assert ULX3S.config.digest[:8] in said["accelerator"][0] and "U4" in said["accelerator"][0]
    assert said["memory"][0] == "brought up" and board.control[DONE] == 1
    assert "64 KiB kept" in said["data lines"][0] and said["address lines"][0].startswith(
        "13 places"
    )
    assert found(board)["memory"][0] == "was up already"


def test_another_configuration():
    came, mend = found(Board(replace(ULX3S.config, lanes=4)))["accelerator"]
    assert came.endswith(
        f"ulx3s-85f here has digest {ULX3S.config.digest[:8]}: give --set or --config"
    )
    assert mend is None


def test_bare():
    """Nothing but link and memory answers: the registers' space has no bus behind it."""
    board = Board(None)
    board.registers = {}
    board.execute = refuse(board.execute)
    said = found(board)
    assert said["accelerator"] == ("none: a bitstream with link and memory only (BARE=1)", None)
    assert list(said) == STEPS
    assert not has_accelerator(client(board)) and has_accelerator(greeted(Board(ULX3S.config)))


def refuse(execute):
    """Reads of the space of registers end with a bus error."""
    return lambda op, words, body: (
        (2, b"") if op == 2 and not words[0] >> 28 else execute(op, words, body)
    )


def greeted(board):
    link = client(board)
    link.hello()
    return link


def test_something_else():
    board = Board(ULX3S.config)
    board.registers[min(board.registers)] = 7
    came, mend = found(board)["accelerator"]
    assert came == "IDENTITY 0x00000007" and mend.endswith("build the bitstream again")


@pytest.mark.parametrize("broken_from, failed", [(0, "data lines"), (2000, "address lines")])
def test_memory_that_keeps_nothing(broken_from, failed):
    board = Board(ULX3S.config)
    board.broken_from = broken_from
    said = found(board)
    assert list(said)[-1] == failed and said[failed][0] == "failed"
    if failed == "address lines":
        assert said[failed][1] == (
            "what is stored at 0x20000 is not kept, or written over by another"
        )


def test_address_line_that_is_stuck():
    """A unit and one far away are the same cell."""
    board = Board(ULX3S.config)
    execute = board.execute

    def aliased(op, words, body):
        return execute(op, [words[0] & ~1024, *words[1:]] if op in (4, 5) else words, body)

    board.execute = aliased
    assert "0x0 is not kept" in found(board)["address lines"][1]


def test_silent():
    """A port at which nobody is."""

    class Silent:
        byte_seconds = 0.0

        def write(self, data):
            pass

        def read(self, timeout):
            return b""

    link = examination.Client(Silent(), name="uart:x", timeout=0.001, patience=0.01)
    ((what, came, mend),) = examine(link)
    assert (what, came) == ("link", "failed") and mend.startswith("uart:x: no answer to HELLO")
