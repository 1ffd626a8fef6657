"""`tokenizer.model` of folders without a `tokenizer.json`: SentencePiece's own file."""

import json
import struct

import numpy as np
import pytest

from host.errors import UserError
from host.language.tokenizer import Tokenizer
from mapper.read.find import load
from tests.host.language import charsmap, corpus, families

from . import hf_files


def varint(value):
    out = b""
    while value > 127:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])


def field(number, value):
    """A field of a protobuf message: an integer, a float, or bytes."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    if isinstance(value, float):
        return varint(number << 3 | 5) + struct.pack("<f", value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def model(name, kind, *, suffix=0, escape=1):
    """The file of a family's tokenizer."""
    about = {k.removeprefix("tokenizer.ggml."): v for k, v in families.metadata(name).items()}
    tokens = [token.replace(" ", families.SPACE) for token in about["tokens"]]
    pieces = [
        field(1, field(1, token.encode()) + field(2, score) + field(3, its))
        for token, score, its in zip(tokens, about["scores"], about["token_type"])
    ]
    trained = field(3, kind) + field(24, suffix) + field(35, 1)
    table = charsmap.table(families.COMPATIBLE) if kind == 1 else b""
    normal = field(1, b"x") + field(2, table) + field(3, int(name != "gemma"))
    normal += field(4, int(kind == 1)) + field(5, escape)
    return b"".join(pieces) + field(2, trained) + field(3, normal)


def folder_of(path, data, rows, **about):
    """A folder with such a file."""
    rows = np.zeros((rows, 64), np.float32)
    config = {"vocab_size": len(rows)}
    folder = hf_files.write(path, config=config, more={"model.embed_tokens.weight": rows})
    (folder / "tokenizer.json").unlink()
    (folder / "tokenizer.model").write_bytes(data)
    (folder / "tokenizer_config.json").write_text(json.dumps(about))
    return folder


@pytest.mark.parametrize("name, kind", [("llama2", 2), ("gemma", 2), ("t5", 1), ("t5-bytes", 1)])
def test_same_ids(tmp_path, name, kind):
    small = families.small(name)
    rows = small.get_vocab_size()
    found = load(folder_of(tmp_path / "m", model(name, kind), rows, add_bos_token=False))
    ours = Tokenizer.from_json(found.tokenizer, bos=found.bos)
    for text in corpus.strings(500):
        # Gemma's own tokens for runs of spaces are merged, not matched.
        assert ours.encode(text) == small.encode(text, add_special_tokens=False).ids, text


def test_begins_and_ends(tmp_path):
    """The classes that read the file add BOS unless they are told not to."""
    data, rows = model("llama2", 2), families.small("llama2").get_vocab_size()
    for said, bos, suffix in (
        ({}, 1, ()),
        ({"add_bos_token": True}, 1, ()),
        ({"add_bos_token": False, "add_eos_token": True}, None, (2,)),
    ):
        found = load(folder_of(tmp_path / "m", data, rows, **said))
        ours = Tokenizer.from_json(found.tokenizer, bos=found.bos)
        assert (ours.bos, ours.suffix) == (bos, suffix)


def test_added_tokens(tmp_path):
    """Of the folder's other files: more tokens, and what is special about those that are there."""
    small = families.small("llama2")
    rows = small.get_vocab_size()
    listed = {
        str(rows): {"content": "<|think|>", "special": True},
        str(rows + 1): {"content": "<note>", "special": False},
    }
    folder = folder_of(
        tmp_path / "m",
        model("llama2", 2),
        rows + 3,
        add_bos_token=False,
        added_tokens_decoder=listed,
    )
    (folder / "added_tokens.json").write_text(json.dumps({"<more>": rows + 2}))
    ours = Tokenizer.from_json(load(folder).tokenizer)
    ids = ours.encode("a<|think|><note><more>")
    assert ids[-3:] == [rows, rows + 1, rows + 2]
    assert ours.decode(ids) == "a<note><more>"


BROKEN = {
    "nothing": b"",
    "no message": b"\xff\xff\xff",
    "an endless integer": b"\x08" + b"\xff" * 12,
    "a field that is too long": b"\x0a\x7fabc",
    "an unknown wire type": b"\x0b",
    "a piece that is a number": field(1, 3),
    "a name that is no text": field(1, field(1, b"\xff") + field(2, 0.0)),
    "a score that is an integer": field(1, field(1, b"a") + field(2, 3)),
    "a type that is text": field(1, field(1, b"a") + field(2, 0.0) + field(3, b"x")),
    "a charsmap that is a number": model("llama2", 2) + field(3, field(2, 5)),
    "half a file": model("llama2", 2)[:10001],
    "words": model("llama2", 3),
    "spaces behind words": model("llama2", 2, suffix=1),
    "spaces that stay": model("llama2", 2, escape=0),
    "no scores": model("llama2", 2).replace(b"\x15", b"\x0d"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_broken(tmp_path, what):
    rows = families.small("llama2").get_vocab_size()
    with pytest.raises(UserError) as info:
        load(folder_of(tmp_path / "m", BROKEN[what], rows))
    assert len(str(info.value).splitlines()) == 1


@pytest.mark.parametrize(
    "listed",
    [
        {"x": {"content": "a"}},
        {"5000": {"content": "a"}},
        {"3": 3},
        {"3000": {"content": 5}},
        {"-1": {"content": "a"}},
    ],
)
def test_broken_additions(tmp_path, listed):
    rows = families.small("llama2").get_vocab_size()
    folder = folder_of(tmp_path / "m", model("llama2", 2), rows, added_tokens_decoder=listed)
    with pytest.raises(UserError, match="added"):
        load(folder)


def test_advice(tmp_path):
    with pytest.raises(UserError, match="must be SentencePiece's file, it is damaged; make a tok"):
        load(folder_of(tmp_path / "m", b"\xff", 288))
