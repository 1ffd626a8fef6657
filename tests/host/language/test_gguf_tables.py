"""A `tokenizer.json` as GGUF's tables: the same tokens, or refused."""

import json

import pytest
import tokenizers

from host.errors import UserError
from host.language.gguf_tables import tables
from host.language.gguf_tokenizers.pre_tokenizers import PRE_TOKENIZERS
from host.language.tokenizer import Tokenizer
from mapper.read.find import load
from tests.mapper import synthetic

from . import families


TEXT = "hello world 123 <|im_start|>don't\n\n  stop<b> \u00e9\u4e2d"


def inner(pre="smollm"):
    names, types = synthetic.tokens()
    names[-1], types[-1] = "<b>", 4
    what = {"model": "gpt2", "pre": pre, "tokens": names, "types": types}
    return Tokenizer.from_json(json.dumps({"gguf": {**what, "merges": synthetic.MERGES}})).inner


@pytest.mark.parametrize("pre", PRE_TOKENIZERS)
def test_same_tokens(pre):
    found = tables(inner(pre), 300)
    names, _ = synthetic.tokens()
    assert PRE_TOKENIZERS[found["pre"]] == PRE_TOKENIZERS[pre]  # several names mean the same
    assert found["model"] == "gpt2" and found["merges"] == synthetic.MERGES
    assert found["tokens"] == [*names[:-1], "<b>", *(f"[PAD{n}]" for n in range(288, 300))]
    assert [found["types"][n] for n in (0, 2, 3, 287, 288)] == [3, 3, 1, 4, 5]
    again = Tokenizer.from_json(json.dumps({"gguf": found})).inner
    assert again.encode(TEXT).ids == inner(pre).encode(TEXT).ids


def test_as_llama_cpp():
    """The tables that its converter made of SmolLM2's `tokenizer.json`."""
    model = load("smollm2")
    expected = json.loads(model.tokenizer)["gguf"]
    found = tables(Tokenizer.from_json(model.tokenizer).inner, model.vocab)
    assert found == expected


def changed(change):
    about = json.loads(inner().to_str())
    change(about)
    return tokenizers.Tokenizer.from_str(json.dumps(about))


def test_what_changes_no_token():
    """Offsets are not asked for."""
    made = changed(lambda a: a["pre_tokenizer"]["pretokenizers"][1].update(trim_offsets=False))
    assert tables(made, 288) == tables(inner(), 288)


@pytest.mark.parametrize(
    "change, message",
    [
        (
            lambda a: a.update(normalizer={"type": "Prepend", "prepend": " "}),
            "'normalizer' must be that of smollm or .*, not Prepend",
        ),
        (
            lambda a: a["pre_tokenizer"]["pretokenizers"][1].update(add_prefix_space=True),
            "its pre-tokenizer must be gpt-2 or phi-2 or .* or default",
        ),
        (lambda a: a.update(pre_tokenizer=None), "its pre-tokenizer must be gpt-2 or "),
        (
            lambda a: a["model"].update(ignore_merges=True),
            "'ignore_merges' must be False with smollm",
        ),
        (
            lambda a: a["model"].update(byte_fallback=True),
            "its pre-tokenizer must be null, not Sequence",
        ),
        (
            lambda a: a["added_tokens"][1].update(rstrip=True),
            "'rstrip' of token '<|im_start|>' must be false",
        ),
        (
            lambda a: a.update(
                model={"type": "WordLevel", "vocab": {"a": 0}, "unk_token": "a"}, added_tokens=[]
            ),
            "its model must be BPE or Unigram, not WordLevel",
        ),
    ],
)
def test_refused(change, message):
    with pytest.raises(UserError, match="^tokenizer: .*byte-level BPE.*" + message):
        tables(changed(change), 288)


def test_more_tokens_than_rows():
    with pytest.raises(UserError, match="at most the embedding's 287 rows, not 288"):
        tables(inner(), 287)


def small(name, change):
    """A small tokenizer of a family, changed."""
    about = json.loads(families.small(name).to_str())
    change(about)
    return tokenizers.Tokenizer.from_str(json.dumps(about))


@pytest.mark.parametrize(
    "name, change, message",
    [
        (
            "llama2",
            lambda a: a["model"]["merges"].reverse(),
            "its merges must be all pairs of tokens that make a third, in the order of scores",
        ),
        (
            "llama2",
            lambda a: a["model"]["merges"].pop(),
            "its merges must be all pairs of tokens that make a third, in the order of scores",
        ),
        (
            "llama2",
            lambda a: a.update(pre_tokenizer={"type": "Whitespace"}),
            "its pre-tokenizer must be null, not Whitespace",
        ),
        (
            "llama2",
            lambda a: a.update(normalizer={"type": "NFC"}),
            r"'normalizer' must turn spaces into U\+2581, one in front of each text or of none",
        ),
        (
            "gemma",
            lambda a: a["added_tokens"][0].update(normalized=True),
            "'normalized' of token '<unk>' must be false",
        ),
        (
            "t5",
            lambda a: a["model"].update(unk_id=None),
            "it must have a token that stands for what has none",
        ),
        (
            "t5",
            lambda a: a["pre_tokenizer"].update(prepend_scheme="first"),
            "its pre-tokenizer must be Metaspace, with a space in front of each text or of none",
        ),
        (
            "t5",
            lambda a: a.update(normalizer={"type": "NFKC"}),
            "'normalizer' must be SentencePiece's",
        ),
        ("qwen2", lambda a: a.update(normalizer=None), "'normalizer' must be that of qwen2 or "),
        (
            "llama3",
            lambda a: a["model"].update(dropout=0.5),
            "'dropout' must be off, not 0.5",
        ),
    ],
)
def test_refused_by_kind(name, change, message):
    made = small(name, change)
    with pytest.raises(UserError, match="^tokenizer: .*that GGUF describes: " + message):
        tables(made, made.get_vocab_size())


def test_added_tokens_without_an_embedding():
    """Some files have one for images, which no text has."""
    made = families.small("gemma")
    rows = made.get_vocab_size()
    more = tokenizers.Tokenizer.from_str(made.to_str())
    more.add_special_tokens(["<image>"])
    assert more.get_vocab_size() == rows + 1
    assert tables(more, rows) == tables(made, rows)
    Tokenizer(more).check(rows)
    with pytest.raises(UserError, match=f"at most the embedding's 99 rows, not {rows};"):
        Tokenizer(more).check(99)
