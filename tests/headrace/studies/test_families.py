"""`python -m headrace.studies.families`: one family, of few types."""

import pytest

from headrace.studies import families as study
from headrace.studies.families import Cell, block


@pytest.fixture
def small(tmp_path, monkeypatch):
    """The study of two families and two types, with a page of its own."""
    page = tmp_path / "docs" / "families.md"
    page.parent.mkdir()
    page.write_text("# Families\n\n<!-- begin families -->stale\n<!-- end families -->\n")
    for name, value in {
        "FAMILIES": ("llama", "helium"),
        "FLOATS": {"floats": 8},
        "KINDS": ("Q8_0", "TQ2_0"),
        "PAGE": page,
        "ROOT": tmp_path,
    }.items():
        monkeypatch.setattr(study, name, value)
    return page


@pytest.mark.seconds(6)
def test_page(small, capsys):
    assert study.main([]) == 0
    lines = small.read_text().splitlines()
    assert lines[3] == "| Family | floats | Q8_0 | TQ2_0 |"
    llama, helium = ([cell.strip() for cell in line.split("|")[1:-1]] for line in lines[5:7])
    assert llama[0] == "llama" and all(1 < float(cell) < 20 for cell in llama[1:])
    assert helium[0] == "helium" and 1 < float(helium[1]) < 20
    assert helium[2:] == ["(1)", "(1)"]
    assert lines[8] == "1. `GGUF has no Helium; it stays a folder`"
    assert "stale" not in small.read_text()


@pytest.mark.seconds(2)
def test_an_error_that_is_too_large(small, monkeypatch, capsys):
    """Ends the command, when the page is written."""
    monkeypatch.setattr(study, "AGREES", 0.01)
    monkeypatch.setattr(study, "KINDS", ())
    assert study.main([]) == 2
    assert "errors must be at most 0.01, not above: llama in floats" in capsys.readouterr().err
    assert "| llama | **" in small.read_text()


def test_mistakes(small, capsys):
    assert study.main(["gpt5"]) == 2
    assert "FAMILY must be one of llama, helium, not 'gpt5'" in capsys.readouterr().err


def test_block():
    """Words of refusals stand once."""
    cells = [
        Cell("a", "F16", error=0.0512),
        Cell("a", "Q8_0", refused="no room"),
        Cell("b", "F16", refused="no head"),
        Cell("b", "Q8_0", refused="no room"),
    ]
    assert list(block(cells)) == [
        "| Family | F16 | Q8_0 |",
        "|--|--:|--:|",
        "| a | 5.1 | (1) |",
        "| b | (2) | (1) |",
        "",
        "1. `no room`",
        "2. `no head`",
    ]
