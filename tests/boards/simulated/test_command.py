"""`python -m boards.simulated`: what it refuses, and the command that it prints."""

import shlex

import pytest

from boards import board as boards
from boards.device import PATIENCE
from boards.models import MODELS
from boards.simulated import __main__ as command
from headrace.cli import parser
from host.link.device import address


class Simulated:
    path = "/dev/pts/7"

    def __init__(self, board, **options):
        pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def run(self):
        raise KeyboardInterrupt

    def statistics(self):
        return {"cycles": 5}


def test_prints_a_command_that_fits(monkeypatch, capsys):
    """Its model has room on the board, and the host is as patient as the simulation is slow."""
    monkeypatch.setattr(command, "SimulatedBoard", Simulated)
    assert command.main([]) == 0
    out = capsys.readouterr().out.splitlines()
    variable, _, *words = shlex.split(out[0])
    assert variable == f"{PATIENCE}=120" and out[1] == "5 cycles"
    args = parser().parse_args(words)
    assert args.run.__module__ == "headrace.commands.run"
    assert args.device.startswith("uart:") and address(args.device[5:]) == ("/dev/pts/7", 19_200)
    assert args.config == "ulx3s-85f"
    model = next(model for model in MODELS if model.name == args.model)
    assert model.lack(boards.get(args.config)) is None


@pytest.mark.parametrize(
    "args, message",
    [
        (["nope"], f"BOARD must be one of {', '.join(boards.BOARDS)}; not 'nope'"),
        (
            ["--baud", "0"],
            "--baud must be from 1200 to 12500000, 4 cycles of the board a bit; not 0",
        ),
        (
            ["--baud", "20000000"],
            "--baud must be from 1200 to 12500000, 4 cycles of the board a bit; not 20000000",
        ),
        (["--seed", "-1"], "--seed must be from 0 to 2**64 - 1, not -1"),
        (["--faults", "nan"], "the rate of faults must be from 0 to 1/3, not nan"),
    ],
)
def test_refuses(capsys, args, message):
    assert command.main(args) == 2
    assert capsys.readouterr().err == f"board: {message}\n"
