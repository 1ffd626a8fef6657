"""Descriptions of boards: found by their folder, and refused in one line."""

import pytest

from host import boards, configurations
from host.configurations import named, read
from host.errors import UserError
from rtl.spec.config import CONFIGS


FIRST = 'number = 9\n[config]\nbase = "small"\nclock_mhz = 20\n'
SECOND = 'number = 4\n[config]\nbase = "wide-lut"\nqueries = 2\n[config.dram]\nbase = "ideal"\n'


@pytest.fixture
def folder(monkeypatch, tmp_path):
    """A folder of boards in place of the project's."""
    (tmp_path / "a-first.toml").write_text(FIRST)
    (tmp_path / "b-second.toml").write_text(SECOND)
    (tmp_path / "a_first.py").write_text("raise ImportError('pins')\n")
    descriptions, made = boards.descriptions, configurations._of_boards.__wrapped__
    monkeypatch.setattr(boards, "descriptions", lambda: descriptions.__wrapped__(tmp_path))
    monkeypatch.setattr(configurations, "_of_boards", made)
    return tmp_path


def test_found_in_the_order_of_their_numbers(folder):
    assert list(named()) == [*CONFIGS, "b-second", "a-first"]
    first, second = read("a-first"), read("b-second")
    assert (first.clock_mhz, first.digest) == (20.0, CONFIGS["small"].digest)
    assert (second.core, second.queries, second.dram.name) == ("lut", 2, "ideal")


def test_base_of_a_file(folder):
    """A user's file may begin with a board's configuration."""
    path = folder / "mine" / "mine.toml"
    path.parent.mkdir()
    path.write_text('base = "b-second"\nlanes = 4\n')
    assert (read(str(path)).lanes, read(str(path)).queries) == (4, 2)


@pytest.mark.parametrize(
    "text, said",
    [
        ("number = ", "{path}: must be TOML: Invalid value (at end of document)"),
        ("[config]\n", "{path}: number must be a number, not None"),
        ("number = 1\nconfig = 2\n", "{path}: config must be a table, not 2"),
        (
            'number = 1\n[config]\nbase = "huge"\n',
            f"new: config: base must be one of {', '.join(CONFIGS)}, not 'huge'",
        ),
        (
            'number = 1\n[config]\nbase = "small"\nlane = 3\n',
            "new: config: there is no field 'lane'; did you mean lanes?",
        ),
        (
            'number = 1\n[config]\nbase = "small"\nlanes = 3\n',
            "new: config: Configuration 'new': lanes must be a power of two from 2 to 16, not 3",
        ),
    ],
)
def test_wrong(folder, text, said):
    path = folder / "new.toml"
    path.write_text(text)
    with pytest.raises(UserError) as error:
        read("small")
    assert str(error.value).removesuffix(" - at `$`") == said.format(path=path)
