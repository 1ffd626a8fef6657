"""A board is a description, and a module with pins that nothing imports before a bitstream."""

import sys
from dataclasses import replace
from importlib.util import find_spec, module_from_spec

import pytest

from boards import bitstream, board as boards
from boards.board import BOARDS
from host import boards as described, configurations
from host.boards import FOLDER
from host.errors import UserError
from rtl.spec.config import get as configuration


NEW = """
title = "A new board"
number = 12
load = "load {bit}"
[dram]
part = "MT41K64M16"
device = "LFE5U-45F"
input_mhz = 12
[config]
base = "small-lut"
clock_mhz = 40
dram = "ddr3-240-x16"
"""


def again():
    """The module that lists boards, as it is with the descriptions that there are now."""
    spec = find_spec("boards.board")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def described_as(monkeypatch, tmp_path):
    """Describe a new board beside the others. Without amaranth-boards: nothing may import it."""

    def add(text):
        for path in FOLDER.glob("*.toml"):
            (tmp_path / path.name).write_text(path.read_text())
        (tmp_path / "new-12f.toml").write_text(text)
        read, made = described.descriptions.__wrapped__, configurations._of_boards.__wrapped__
        monkeypatch.setattr(described, "descriptions", lambda: read(tmp_path))
        monkeypatch.setattr(configurations, "_of_boards", made)
        monkeypatch.setitem(sys.modules, "amaranth_boards", None)
        return again()

    return add


def test_new_board(described_as):
    listed = described_as(NEW)
    assert list(listed.BOARDS) == [*BOARDS, "new-12f"]
    board = listed.get("new-12f")
    assert listed.by_number(12) is board and board.module == "boards.new_12f"
    assert board.config == configurations.read("new-12f")
    assert (board.config.core, board.config.queries) == ("lut", 3)
    assert (board.dram.clock_mhz, board.dram.input_mhz, board.seed) == (40.0, 12.0, 1)


def test_is_in_the_table(described_as, monkeypatch):
    listed = described_as(NEW)
    monkeypatch.setattr(bitstream, "BOARDS", listed.BOARDS)
    assert list(bitstream.boards_table().columns[0].cells) == [*BOARDS, "new-12f"]


@pytest.mark.parametrize(
    "change, said",
    [
        (("load =", "lode ="), "new-12f: there is no field 'lode'; did you mean load?"),
        (('title = "A new board"', ""), "new-12f: needs title"),
        (("input_mhz", "clock_mhz"), "new-12f: dram: clock_mhz must be left out; it is the config"),
        (("MT41K64M16", "MT41"), "new-12f: dram: Part must be one of IS42S16160, MT41K64M16, "),
        (
            ("input_mhz = 12", "input_mhz = 0"),
            "new-12f: dram: Clocks must be positive, not 40.0 and 0.0",
        ),
        (("number = 12", 'number = "12"'), "number must be a number, not '12'"),
    ],
)
def test_wrong(described_as, change, said):
    with pytest.raises(UserError) as error:
        described_as(NEW.replace(*change))
    assert said in str(error.value) and "\n" not in str(error.value)


def test_every_board_has_its_files():
    """All with its name, but for the module, which has `_` for `-`."""
    for name, board in BOARDS.items():
        module = board.module.removeprefix("boards.")
        assert module == name.replace("-", "_") and (FOLDER / f"{module}.py").exists()
        assert (FOLDER / f"{name}.toml").exists()
        assert boards.get(name) is board


def test_digests():
    """Images for one board run on all: their machines differ in the width of beats, and in what no
    image depends on.
    """
    (digest,) = {board.config.digest for board in BOARDS.values()}
    assert digest == replace(configuration("small"), lanes=2).digest


def test_beats_are_the_memorys():
    """Machines take what their memory brings in a cycle, no more and no less."""
    for board in BOARDS.values():
        assert board.config.beat_bytes * board.clock_mhz * 1e6 == board.dram.peak == board.peak
