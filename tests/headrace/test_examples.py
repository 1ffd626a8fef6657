"""The examples of the library are as they say: of its guide, its docstrings, README, and no
others.
"""

import doctest
from pathlib import Path

import pytest

import headrace
from headrace.library import machines


ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "docs" / "library.md"


def failures(text, name, said=None):
    """How many examples of a text fail; `said` is a list that takes why."""
    test = doctest.DocTestParser().get_doctest(text, {"__name__": "__main__"}, name, name, 0)
    assert test.examples, f"{name} must have examples"
    return (
        doctest.DocTestRunner(verbose=False)
        .run(test, out=(said if said is not None else []).append)
        .failed
    )


@pytest.mark.seconds(60)
def test_guide(tmp_path, monkeypatch):
    """All of it, in one session as a reader would type it; the simulated FPGA is `wide`, as other
    tests have it.
    """
    monkeypatch.chdir(tmp_path)
    said = []
    assert not failures(GUIDE.read_text(), "library.md", said), "".join(said)


@pytest.mark.seconds(4)
def test_readme(tmp_path, capsys):
    """Its Python runs as it stands."""
    _, *blocks = (ROOT / "README.md").read_text().split("```python\n")
    assert blocks
    for block in blocks:
        exec(block.partition("```")[0], {})
    assert capsys.readouterr().out == " strengthen the basic principles of"


@pytest.mark.seconds(5)
@pytest.mark.parametrize("module", [headrace, machines], ids=lambda module: module.__name__)
def test_docstrings(module):
    result = doctest.testmod(module)
    assert result.attempted and not result.failed


def test_wrong_example_is_found():
    assert failures(">>> 1 + 1\n3\n", "wrong") == 1
    assert failures(">>> 1 + 1\n2\n", "right") == 0


def test_guide_names_all():
    """Every public function is in the guide."""
    text = GUIDE.read_text()
    for name in (
        "load",
        "machine",
        "names",
        "run",
        "compile",
        "compare",
        "verilog",
        "Sampling",
        "Error",
    ):
        assert f"headrace.{name}" in text or f"`{name}`" in text, name
