"""Token ids are those of `transformers`, and of llama.cpp, for each kind of tokenizer."""

import json
import unicodedata

import pytest
from transformers import PreTrainedTokenizerFast

from host.language.gguf_tables import tables
from host.language.text_stream import TextStream
from host.language.tokenizer import Tokenizer
from mapper.read import gguf_model
from tests import llama_tokens

from . import corpus, families


pytestmark = pytest.mark.seconds(1)  # 2,000 texts, which `make check` leaves out


STRINGS = corpus.strings()
SMALL = pytest.mark.parametrize("name", families.FAMILIES)


def test_corpus():
    """Two thousand strings: each script in many, special tokens, runs of whitespace, emoji."""
    assert len(STRINGS) == 2000 and STRINGS == corpus.strings() and len(corpus.SCRIPTS) == 20
    of = {script: set(corpus.letters(spans)) for script, spans in corpus.SCRIPTS.items()}
    for letters in of.values():
        assert sum(bool(letters & set(text)) for text in STRINGS) > 90
    for piece in (*corpus.SPECIAL, *corpus.SPACES, *corpus.EMOJI, *corpus.CODE):
        assert any(piece in text for text in STRINGS)
    assert sum(text != unicodedata.normalize("NFC", text) for text in STRINGS) > 90


def expected(name):
    """Ids by `transformers`."""
    theirs = PreTrainedTokenizerFast(tokenizer_object=families.small(name))
    return theirs(STRINGS, add_special_tokens=False)["input_ids"]


def of_file(path):
    model = gguf_model.read(path)
    return Tokenizer.from_json(model.tokenizer, bos=model.bos, eos=model.eos)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """A GGUF file of each family."""
    folder = tmp_path_factory.mktemp("gguf")
    return {name: families.write(folder / f"{name}.gguf", name) for name in families.FAMILIES}


@SMALL
@pytest.mark.seconds(1)
def test_gguf(written, name):
    ours = of_file(written[name])
    assert [ours.encode(text) for text in STRINGS] == expected(name)


@SMALL
@pytest.mark.seconds(1)
def test_tokenizer_json(name):
    about = {"huggingface": json.loads(families.small(name).to_str())}
    ours = Tokenizer.from_json(json.dumps(about))
    assert [ours.encode(text) for text in STRINGS] == expected(name)


@SMALL
@pytest.mark.seconds(1)
def test_tables(name):
    """What is written of a `tokenizer.json` gives the same tokens again."""
    small = families.small(name)
    found = tables(small, small.get_vocab_size() + 3)
    ours = Tokenizer.from_json(json.dumps({"gguf": found}))
    assert [ours.encode(text) for text in STRINGS] == expected(name)


def approximated(name, text):
    """Whether llama.cpp cuts a text in another way than the family: its engine has no classes of
    capitals, and composes no text; its unigram models replace characters one by one."""
    if name in ("phi4-mini", "ministral"):
        kinds = {unicodedata.category(char) for char in text if not char.isascii()}
        return bool(kinds & {"Lu", "Ll", "Lt", "Mn", "Mc", "Me"})
    if name in ("qwen2", "olmo", "stablelm2"):
        return text != unicodedata.normalize("NFC", text)
    marks = (unicodedata.category(char).startswith("M") for char in text[1:])
    replaced = any(char in families.COMPATIBLE and mark for char, mark in zip(text, marks))
    return name in families.UNIGRAM and (replaced or "\x00" in text or "\u2581" in text)


@pytest.fixture(scope="module")
def theirs(written):
    """What llama.cpp makes of each file."""
    return dict(zip(written, llama_tokens.answers(written.values(), STRINGS)))


@SMALL
@pytest.mark.seconds(1)
def test_llama_cpp(written, theirs, name):
    ours = of_file(written[name])
    assert theirs[name]["ends"] == sorted(ours.eos)
    found = {t: i for t, i in zip(STRINGS, theirs[name]["ids"]) if not approximated(name, t)}
    assert len(found) > 500
    byte = {n for n, token in ours.inner.get_vocab().items() if n in families.BYTES}
    for text, ids in found.items():
        mine = ours.encode(text)
        if name == "t5-bytes" and byte & {ours.inner.id_to_token(n) for n in mine}:
            continue
        assert mine == ids, text


@SMALL
def test_streams(written, name):
    """Text that comes token by token is the text of all tokens."""
    ours = of_file(written[name])
    for text in STRINGS[::7]:
        ids = ours.encode(text)
        stream = TextStream(ours)
        said = [stream.add(n) for n in ids]
        assert "".join([*said, stream.finish()]) == ours.decode(ids), text
        if "\ufffd" not in text:
            assert "\ufffd" not in "".join(said), text


@SMALL
def test_streams_go_on(written, name):
    """A text is the same wherever it is cut into a prompt and its continuation, but for the space
    in front of a word that begins anew, behind a special token."""
    ours = of_file(written[name])
    for text in STRINGS[::23]:
        ids = ours.encode(text)
        whole = ours.decode(ids)
        for at in range(1, len(ids)):
            before = ours.decode(ids[:at])
            if "\ufffd" in before:
                continue
            stream = TextStream(ours, ids[:at])
            said = "".join([*(stream.add(n) for n in ids[at:]), stream.finish()])
            anew = ids[at - 1] in ours.inner.get_added_tokens_decoder()
            rest = whole.removeprefix(before)
            assert before + rest == whole
            assert said == rest or anew and said == rest.removeprefix(" "), (text, at)


def test_space_in_front(written):
    """SentencePiece's space in front of a text is put, and taken away, where the text begins."""
    ours = of_file(written["llama2"])
    word = ours.encode("hello")
    begin, stop = ours.encode("<s>"), ours.encode("</s>")
    assert ours.decode(word) == "hello" and ours.inner.id_to_token(word[0]).startswith("\u2581")
    assert ours.continuation("hello") == ours.continuation("hello", begin) == word
    assert ours.continuation(" hello", word) == word
    assert ours.decode([*word, *ours.continuation("hello", word)]) == "hellohello"
    for before, text in (
        ((), "hello"),
        (begin, "hello"),
        ([*word, *stop], "hello"),
        (word, " hello"),
    ):
        stream = TextStream(ours, before)
        assert "".join(stream.add(n) for n in word) == text
    gemma = of_file(written["gemma"])
    word = gemma.encode(" hello")
    assert gemma.continuation(" hello", word) == word and gemma.decode(word) == " hello"
