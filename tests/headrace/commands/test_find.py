"""Commands are found by their folder, and listed in an order that stays."""

import sys

import pytest

from headrace import commands
from headrace.cli import parser

from ..command import call


ORDER = (
    "run chat compile verify profile prune quantize eval compare compare-cores area verilog config "
    "bitstream load export random mutate doctor"
)
HELLO = '''
def register(parsers):
    parser = parsers.add_parser("say-hello", help="greet")
    parser.set_defaults(run=lambda args: print("Hello!"))
'''


def listed():
    """Names of the commands that the parser has, in its order."""
    (action,) = (each for each in parser()._actions if each.dest == "==SUPPRESS==" and each.choices)
    return list(action.choices)


def test_order():
    """Each is registered by the name of its file."""
    assert " ".join(listed()) == " ".join(commands.find()) == ORDER
    places = [module.PLACE for module in commands.find().values()]
    assert len(set(places)) == len(places)


@pytest.fixture
def folder(monkeypatch, tmp_path):
    """Another folder of commands, with one that greets."""
    (tmp_path / "say_hello.py").write_text(HELLO)
    (tmp_path / "_greetings.py").write_text("raise ImportError('no command')\n")
    monkeypatch.setattr(commands, "__path__", [*commands.__path__, str(tmp_path)])
    yield tmp_path
    sys.modules.pop("headrace.commands.say_hello", None)


def test_new_file_is_a_command(folder, capsys):
    assert listed() == [*ORDER.split(), "say-hello"]
    assert call(capsys, "say-hello") == (0, "Hello!\n", "")


def test_its_place(folder):
    (folder / "say_hello.py").write_text(f"PLACE = 15\n{HELLO}")
    assert listed()[:3] == ["run", "say-hello", "chat"]
