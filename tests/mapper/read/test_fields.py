"""Fields of a file: read, or refused in one line that names what was expected and what came."""

import numpy as np
import pytest

from host.errors import UserError
from mapper.read.fields import Fields


def hf(**values):
    return Fields("config.json", values)


def gguf(**values):
    return Fields("m.gguf", {f"llama.{key}": value for key, value in values.items()}, "llama.")


ONE = "x_gguf", "x"


@pytest.mark.parametrize(
    "read, values, expected",
    [
        *(
            (lambda f: f.integer(*ONE, low=2, high=9), value, "an integer from 2 to 9")
            for value in (1, 10, 10**400, 2.0, "2", True, [2], {})
        ),
        *((lambda f: f.number(*ONE), value, "a number") for value in ("1", True, [1.0], {})),
        *(
            (
                lambda f: f.number(*ONE, low=0.5, high=2.0),
                value,
                "a number above 0.5, and at most 2",
            )
            for value in (0.5, 0, -1, 2.5, 10**400, float("nan"), float("inf"))
        ),
        (lambda f: f.number(*ONE), 1e39, "a number above 0, and at most 3.4028235e+38"),
        *((lambda f: f.flag(*ONE), value, "true or false") for value in (0, 1, "true", [], {})),
        *(
            (lambda f: f.choice(*ONE, {"a": 1, "b": 2}), value, "'a' or 'b'")
            for value in ("c", 1, ["a"], {"a": 1}, 1.0)
        ),
        *(
            (lambda f: f.items(*ONE, 2, bool), value, "2 values of type bool")
            for value in ([True], [True] * 3, [1, 0], True, "ab", (True, False))
        ),
    ],
)
def test_refused(read, values, expected):
    for f, key in (hf(x=values), "x"), (gguf(x_gguf=values), "llama.x_gguf"):
        with pytest.raises(UserError) as caught:
            read(f)
        text = str(caught.value)
        start, end = f"{f.path}: {key!r} must be {expected}, not ", "; this model cannot be mapped"
        assert text.startswith(start) and text.endswith(end)
        shown = text.removeprefix(start).removesuffix(end)
        assert len(shown) <= 60 and repr(values).startswith(shown.removesuffix("..."))


@pytest.mark.parametrize(
    "read",
    [
        lambda f: f.integer(*ONE),
        lambda f: f.number(*ONE),
        lambda f: f.choice(*ONE, {}),
        lambda f: f.items(*ONE, 1, int),
    ],
)
def test_missing(read):
    for f, text in (
        (hf(), "config.json: 'x' is missing"),
        (hf(x=None), "config.json: 'x' is missing"),
        (gguf(x=1), "m.gguf: 'llama.x_gguf' is missing"),
    ):
        with pytest.raises(UserError) as caught:
            read(f)
        assert str(caught.value) == text


def test_refused_by_a_family():
    with pytest.raises(UserError) as caught:
        gguf().refuse("x", "null", 30.0)
    text = "m.gguf: 'llama.x' must be null, not 30.0; this model cannot be mapped"
    assert str(caught.value) == text


def test_read():
    f = hf(i=3, n=2, t=True, c="a", l=[1, 2], zero=0)
    assert f.integer(None, "i") == 3 and f.integer(None, "zero", low=0) == 0
    assert f.number(None, "n") == 2.0 and isinstance(f.number(None, "n"), float)
    assert f.flag(None, "t") is True and f.flag(None, "none") is False
    assert f.flag(None, "none", True) is True
    assert f.choice(None, "c", {"a": "b"}) == "b"
    assert f.items(None, "l", 2, int) == [1, 2]
    assert gguf(l=np.array([True, False])).items("l", None, 2, bool) == [True, False]
    assert f.integer(None, "none", default=None) is None
    assert f.number(None, "none", default=0.5) == 0.5


def test_names():
    """The first name that the file has counts; all were asked for, and those of the other kind of
    file were not."""
    f = hf(b=2, c=3)
    assert f.integer("g", ("a", "b", "c")) == 2
    assert f.asked == {"a", "b", "c"} and not f.is_gguf
    other = gguf(g=5, a=1)
    assert other.integer("g", ("a", "b")) == 5
    assert other.asked == {"g"} and other.is_gguf and other.called("g") == "llama.g"
    with pytest.raises(UserError, match="'b' must be an integer from 5 to 16777215, not 2;"):
        f.integer(None, ("a", "b"), low=5)
