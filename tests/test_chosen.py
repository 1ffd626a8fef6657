"""Which cases that take long are run."""

from types import SimpleNamespace

import pytest

from . import chosen
from .chosen import cases, is_left_out


def left_out(name, keyword="", *args):
    """Whether a test of a name is left out."""
    (case,) = cases([(name, "feature")], ["llama"])
    assert case.values == (name, "feature")
    marks = {mark.name: mark.mark for mark in case.marks}
    config = SimpleNamespace(option=SimpleNamespace(keyword=keyword), args=args)
    return is_left_out(SimpleNamespace(get_closest_marker=marks.get, config=config))


@pytest.mark.parametrize(
    "expected, asked",
    [
        (False, ("llama",)),
        (True, ("qwen3",)),
        (False, ("qwen3", "qwen3")),
        (False, ("qwen3", "gpt2 or qwen3 and not window")),
        (True, ("qwen3", "gpt2")),
        (False, ("qwen3", "", "tests/test_it.py", "tests/test_it.py::test_it[qwen3]")),
        (True, ("qwen3", "", "qwen3/tests/test_it.py", "tests/test_it.py::test_it[gpt2]")),
    ],
)
def test_cases(monkeypatch, expected, asked):
    monkeypatch.setattr(chosen, "ALL", False)
    assert left_out(*asked) == expected
    monkeypatch.setattr(chosen, "ALL", True)
    assert not left_out(*asked)
