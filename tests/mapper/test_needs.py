"""What a model is said to need is what its compilation takes, to the last word."""

from dataclasses import asdict, replace

import pytest

from host.errors import UserError
from mapper.compile import Compilation, compile_model
from mapper.needs import needs
from rtl.spec.config import MOST, get
from sim.models.toy import toy_model
from tests.mapper.test_limits import resized


pytestmark = pytest.mark.seconds(1)  # whole models, which `make check` leaves out


SMALL, WIDE = get("small"), get("wide")
MODEL = toy_model()


@pytest.mark.parametrize("config", [SMALL, WIDE], ids=lambda its: its.name)
def test_enough(config):
    """All of it, and nothing more: one place less of a field, and the compiler refuses."""
    need = needs(MODEL, config)
    image = compile_model(MODEL, config, 64)
    assert need.vector_words == image.report["vector_words"]
    assert need.program_words == image.length
    assert need.act_groups == MODEL.ffn // 32
    assert (need.columns, need.head_dim) == (config.columns, MODEL.head_dim)
    for name in MOST:
        least = getattr(need, name)
        compile_model(MODEL, resized(config, **{name: least}), 32)
        with pytest.raises(UserError):
            compile_model(MODEL, resized(config, **{name: least - 1}), 32)


def test_lacking():
    need = needs(MODEL, SMALL)
    assert need.lacking(SMALL) == {}
    exactly = resized(SMALL, **{name: getattr(need, name) for name in MOST})
    assert need.lacking(exactly) == {}
    for name in MOST:
        size = getattr(need, name)
        assert [*need.lacking(resized(exactly, **{name: size - 1}))] == [name]
    other = replace(SMALL, head_dim=128, columns=2)
    assert need.lacking(other) == {
        "columns": "2 columns, the vector memory has room for 1",
        "head_dim": "heads of 128 elements, the model needs 64",
    }


def test_exact():
    """Caps of scores are the model's; hardware that has one need not be used."""
    need, capped = needs(MODEL, SMALL), replace(SMALL, score_cap=30.0)
    assert (need.lanes, need.score_cap) == (SMALL.lanes, 0) and not need.lacking(capped)
    need = replace(need, score_cap=50.0, lanes=2)
    assert need.lacking(replace(capped, score_cap=50.0, lanes=2)) == {}
    assert need.lacking(capped) == {
        "lanes": "4 lanes, half of a head is a multiple of 2",
        "score_cap": "a score_cap of 30, the model needs 50",
    }
    assert [*need.lacking(replace(SMALL, lanes=2))] == ["score_cap"]


def test_longest_row():
    """A row that is longer than an instruction's stride compiles: there is one repetition."""
    model = toy_model(family="gemma3", hidden=2048, heads=2, layers=1, kinds=())
    compile_model(model, replace(WIDE, **needs(model, WIDE).values(["vector_words"])), 32)


def test_values():
    """Powers of two where a configuration must have such; only of the fields that are named."""
    need = replace(needs(MODEL, SMALL), columns=3, head_dim=64, vector_words=8193, act_groups=64)
    assert need.values(["columns", "head_dim", "vector_words", "act_groups"]) == {
        "columns": 3,
        "head_dim": 64,
        "vector_words": 16384,
        "act_groups": 64,
    }
    assert need.values([]) == {}
    replace(SMALL, **need.values(asdict(need)))


@pytest.mark.parametrize("head_dim", [64, 128, 256])
def test_heads(head_dim):
    model = toy_model(heads=2, head_dim=head_dim)
    need = needs(model, SMALL)
    assert need.head_dim == head_dim and ("head_dim" in need.lacking(SMALL)) == (head_dim != 64)
    compile_model(model, replace(SMALL, **need.values(need.lacking(SMALL))), 32)


@pytest.mark.parametrize("words, columns", [(2048, 1), (4096, 3), (8192, 4)])
def test_columns(monkeypatch, words, columns):
    """As many as the largest vector memory has room for, of those that the configuration has."""
    one = needs(MODEL, SMALL).vector_words
    more = needs(MODEL, replace(SMALL, columns=2)).vector_words - one
    assert columns == 4 or words < one + columns * more
    monkeypatch.setitem(MOST, "vector_words", words)
    need = needs(MODEL, WIDE)
    assert (need.columns, need.vector_words) == (columns, one + (columns - 1) * more)
    assert ("columns" in need.lacking(WIDE)) == (columns < 4)


def test_too_large(monkeypatch):
    """For any machine: one line, of the vector memory or of another limit."""
    words = needs(MODEL, SMALL).vector_words
    monkeypatch.setitem(MOST, "vector_words", 1024)
    text = f"^toy: needs {words} words of vector memory for a column, the machine takes 1024$"
    with pytest.raises(UserError, match=text):
        needs(MODEL, WIDE)
    with pytest.raises(UserError, match="^toy: .*: the hidden size is 32768, the machine takes"):
        needs(resized(MODEL, hidden=1 << 15), WIDE)


def test_too_long(monkeypatch):
    length = needs(MODEL, WIDE).program_words
    monkeypatch.setitem(MOST, "program_words", 128)
    text = f"^toy: the program has {length} instructions, the machine takes 128$"
    with pytest.raises(UserError, match=text):
        needs(MODEL, replace(WIDE, program_words=128))


def test_every_context():
    """A window's program is longest where the context is larger than the window."""
    model = toy_model(family="gemma3", context=256)
    need, config = needs(model, WIDE), replace(WIDE, vector_words=1 << 17, program_words=4096)
    lengths = {
        context: len(Compilation(model, config, context).program.insns) for context in (16, 256)
    }
    assert lengths[16] < lengths[256] == need.program_words
