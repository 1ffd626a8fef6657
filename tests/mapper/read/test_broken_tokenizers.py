"""More than two hundred tokenizers that cannot be used: one line each, before anything is
compiled."""

import json

import numpy as np
import pytest
from gguf import GGUFValueType

from headrace import cli
from host.errors import UserError
from mapper.read.find import load
from tests.host.language import families
from tests.mapper import synthetic

from . import hf_files


KEY = "tokenizer.ggml."
KINDS = ("gpt2", "llama2", "t5")
FLAGS = ("add_bos_token", "add_eos_token")
SPACES = ("add_space_prefix", "remove_extra_whitespaces")
IDS = ("bos_token_id", "eos_token_id", "eot_token_id", "eom_token_id")
UNKNOWN = ("bert", "rwkv", "plamo2", "gemma4", "none", "no_vocab", "whitespace", "x\ny", "")
PRES = (
    "minicpm",
    "GPT-2",
    "gpt2",
    "qwen",
    "llama-bpe2",
    "chameleon",
    "kimi-k2",
    "jina-v2-es",
    "a\nb",
)
BYTES = GGUFValueType.ARRAY


def changes(name):
    """Wrong metadata of a family: (what is wrong, keys without ``tokenizer.ggml.``)."""
    about = {key.removeprefix(KEY): value for key, value in families.metadata(name).items()}
    tokens, types = about["tokens"], about["token_type"]
    yield from (
        (f"model {model}", dict(model=model)) for model in (*UNKNOWN, 5, 1.5, True, ["gpt2"])
    )
    yield from (
        (f"{what} tokens", dict(tokens=value))
        for what, value in {
            "no": None,
            "fewer": tokens[:-1],
            "more": [*tokens, "more"],
            "the same": [*tokens[:-1], tokens[0]],
            "one": "a",
            "numbers as": list(range(len(tokens))),
        }.items()
    )
    yield from (
        (f"{what} types", dict(token_type=value))
        for what, value in {
            "fewer": types[:-1],
            "more": [*types, 1],
            "texts as": ["1"] * len(types),
            "fractions as": [1.0] * len(types),
            "one": 1,
        }.items()
    )
    for key in (*IDS, *(("unknown_token_id",) if name != "gpt2" else ())):
        for value in (len(tokens), (1 << 32) - 1, "1", 1.0, True, [1]):
            yield f"{key} {value}", {key: value}
    for key in (*FLAGS, *(SPACES if name != "gpt2" else ())):
        for value in (1, "true", 0.5, [True]):
            yield f"{key} {value}", {key: value}
    if name == "gpt2":
        yield from (
            (f"merges {value}"[:60], dict(merges=value))
            for value in (
                *(None, "a b", [1, 2]),
                *([merge] for merge in ("ab", "", " ", "a", "a ", " a", "a b c", "zz a", "a zz")),
                [*about["merges"][:9], "<s> a"],
            )
        )
        yield from ((f"pre {pre}", dict(pre=pre)) for pre in (*PRES, 3, ["gpt-2"]))
    else:
        scores = about["scores"]
        yield from (
            (f"{what} scores", dict(scores=value))
            for what, value in {
                "no": None,
                "fewer": scores[:-1],
                "more": [*scores, 0.0],
                "the same": [-1000.0] * len(scores),
                "no finite": [*scores[:-1], float("nan")],
                "infinite": [*scores[:-1], float("-inf")],
                "texts as": ["0"] * len(scores),
            }.items()
        )
        normal = [1] * len(types)
        names = [f"[{n}]" for n in range(len(tokens))]
        lack = dict(tokens=names, token_type=normal, unknown_token_id=None)
        yield "nothing for what has no token", lack
    if name == "t5":
        table = families.charsmap.table(families.COMPATIBLE)
        yield "no BOS that is added", dict(add_bos_token=True, bos_token_id=None)
        yield from (
            (f"{what} charsmap", dict(precompiled_charsmap=value))
            for what, value in {
                "text as": "abc",
                "numbers as": [1, 2, 3],
                "a short": (table[:2], BYTES),
                "a long": (b"\xff" * 64, BYTES),
            }.items()
        )


CASES = [
    pytest.param(name, change, id=f"{name}: {what}".replace("\n", " "))
    for name in KINDS
    for what, change in changes(name)
]


def check_line(error):
    said = str(error)
    assert len(said.splitlines()) == 1 and said.isprintable() and len(said) < 600, said


@pytest.mark.parametrize("name, change", CASES)
def test_gguf(tmp_path, name, change):
    with pytest.raises(UserError) as info:
        load(families.write(tmp_path / "m.gguf", name, **change))
    check_line(info.value)


def test_how_many():
    assert len(CASES) + len(JSON) > 200


def changed(**parts):
    return lambda about: about.update(parts)


def of_model(**parts):
    return lambda about: about["model"].update(parts)


def token(**parts):
    return lambda about: about["added_tokens"][0].update(parts)


JSON = {
    "no model": lambda about: about.pop("model"),
    "no vocabulary": lambda about: about["model"].pop("vocab"),
    "a model of no type": of_model(type="Unheard"),
    "a model that is text": changed(model="BPE"),
    "a vocabulary that is a number": of_model(vocab=3),
    "an id that is text": of_model(vocab={"a": "0"}),
    "an id below zero": of_model(vocab={"a": -1}, merges=[]),
    "an id beyond the embedding": lambda about: about["model"]["vocab"].update(beyond=288),
    "an id far beyond": lambda about: about["model"]["vocab"].update(beyond=1 << 31),
    "merges of unknown tokens": of_model(merges=["h zz"]),
    "merges of three": of_model(merges=["h e l"]),
    "merges of numbers": of_model(merges=[[1, 2]]),
    "merges that make no token": of_model(merges=["h h"]),
    "merges that are text": of_model(merges="h e"),
    "an unknown normalizer": changed(normalizer={"type": "Unheard"}),
    "a normalizer that is text": changed(normalizer="NFC"),
    "a charsmap of nothing": changed(
        normalizer={"type": "Precompiled", "precompiled_charsmap": "!"}
    ),
    "an unknown pre-tokenizer": changed(pre_tokenizer={"type": "Unheard"}),
    "a broken expression": changed(
        pre_tokenizer={
            "type": "Split",
            "pattern": {"Regex": "(["},
            "behavior": "Isolated",
            "invert": False,
        }
    ),
    "an unknown decoder": changed(decoder={"type": "Unheard"}),
    "an unknown processor": changed(post_processor={"type": "Unheard"}),
    "an added token without a name": lambda about: about["added_tokens"][0].pop("content"),
    "an added token with a text for an id": token(id="0"),
    "an added token below zero": token(id=-1),
    "added tokens that are a number": changed(added_tokens=3),
    "an unknown version": changed(version="9.9"),
    "a long prefix": of_model(continuing_subword_prefix="longer than any of the tokens"),
}
TEXTS = {
    "nothing": "",
    "no JSON": "{",
    "a list": "[]",
    "a number": "1",
    "an empty object": "{}",
    "nested": "[" * 100000,
    "no UTF-8": b"\xff\xfe{}",
}


@pytest.mark.parametrize("what", [*JSON, *TEXTS])
def test_tokenizer_json(tmp_path, what):
    folder = hf_files.write(tmp_path / "m")
    path = folder / "tokenizer.json"
    text = TEXTS.get(what)
    if text is None:
        about = json.loads(path.read_text())
        JSON[what](about)
        text = json.dumps(about)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(UserError) as info:
        load(folder)
    check_line(info.value)


@pytest.mark.parametrize("command", ["compile", "run", "chat", "eval", "quantize"])
def test_commands(tmp_path, capsys, command):
    """Every command that reads a model refuses it at once, with exit code 2."""
    path = families.write(tmp_path / "m.gguf", "gpt2", pre="unheard")
    out, text = tmp_path / "out.safetensors", tmp_path / "text"
    text.write_text("hello")
    more = {
        "compile": ["--output", out],
        "quantize": ["--type", "F32", "--output", out],
        "run": ["--prompt", "a"],
        "eval": ["--text", text],
    }
    model = [path] if command == "quantize" else ["--model", path]
    code = cli.main([command, *map(str, [*model, *more.get(command, [])])])
    said = capsys.readouterr().err
    assert code == 2 and said.count("\n") == 1
    assert "its pre-tokenizer must be gpt-2, " in said and not out.exists()


def test_good(tmp_path):
    """What is changed above can be used as it is."""
    for name in KINDS:
        load(families.write(tmp_path / f"{name}.gguf", name))
    load(hf_files.write(tmp_path / "m"))
    assert np.shape(synthetic.tokens()) == (2, 288)
