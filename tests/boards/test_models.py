from dataclasses import replace

import pytest

from boards.board import get
from boards.models import MODELS, Model
from mapper.compile import compile_model
from mapper.read.find import load


@pytest.mark.seconds(20)
@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.name)
def test_as_compiled(model):
    """What is written down is what compiled images say, on a machine that has the formats."""
    of, config = load(model.name, 8), get("ulx3s-85f").config
    formats = tuple({*config.formats, *model.formats})
    image = compile_model(of, replace(config, formats=formats), min(2048, of.context))
    assert (image.context, image.memory_units, image.weight_bytes, tuple(image.formats)) == (
        model.context,
        model.memory_units,
        model.weight_bytes,
        model.formats,
    )


def test_what_lacks():
    board = get("ulx3s-85f")
    units = board.dram.units
    assert Model("a", 1, units, 1, ("S8",)).lack(board) is None
    assert Model("a", 1, units + 1, 1, ("S8",)).lack(board) == "1 MiB too large"
    assert Model("a", 1, 2 * units, 1, ("S8",)).lack(board) == "32 MiB too large"
    assert Model("a", 1, 2 * units, 1, ("S8", "U1")).lack(board) == "no U1"


def test_tokens_per_second():
    board = get("ulx3s-85f")
    assert Model("a", 1, 1, 1_600_000, ("S8",)).tokens_per_second(board) == pytest.approx(
        board.peak / 1.6e6
    )
    assert board.peak == 2 * 1e6 * board.clock_mhz
