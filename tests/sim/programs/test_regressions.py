"""Programs that once failed, shrunk: each says with what, and on which mistake."""

from functools import cache
from pathlib import Path

import pytest

from rtl.spec.config import get
from sim.programs.compare import Pair
from sim.programs.kept import kept


FILES = sorted((Path(__file__).parent / "regressions").glob("*.json"))

pair = cache(lambda name: Pair(get(name)))


@pytest.mark.seconds(3)
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_same(path):
    program = kept(path)
    assert program.why
    pair(program.config.name).compare(program, program.program)


def test_there_are_some():
    assert len(FILES) >= 4
