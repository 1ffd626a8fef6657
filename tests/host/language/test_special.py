"""Which tokens begin and end texts and answers: as llama.cpp, which is asked."""

import json

import numpy as np
import pytest
import tokenizers

from host.errors import UserError
from host.language.gguf_tokenizers.pre_tokenizers import PRE_TOKENIZERS
from host.language.tokenizer import Tokenizer
from mapper.read import gguf_model
from tests import llama_tokens
from tests.mapper import synthetic

from . import corpus, families
from .test_same_ids import approximated


def read(path):
    model = gguf_model.read(path)
    return Tokenizer.from_json(model.tokenizer, bos=model.bos, eos=model.eos)


def agree(paths, texts):
    """Assert that llama.cpp finds the same tokens, and the same ends of answers, in files."""
    for path, theirs in zip(paths, llama_tokens.answers(paths, texts)):
        ours = read(path)
        assert sorted(ours.eos) == theirs["ends"], path
        for text, ids in zip(texts, theirs["ids"]):
            # Where a text begins with BOS, llama.cpp adds another, and warns that it did.
            twice = ours.bos is not None and ids[:2] == [ours.bos] * 2
            assert ours.encode(text) == ids[twice:], (path, text)


@pytest.mark.seconds(3)
def test_as_llama_cpp(tmp_path):
    """Of each kind, with what files say and what they are silent about."""
    said = {
        "silent": dict(add_bos_token=None, add_eos_token=None),
        "both": dict(add_bos_token=True, add_eos_token=True),
        "neither": dict(add_bos_token=False, add_eos_token=False, add_space_prefix=None),
        "default ids": dict(add_eos_token=True, bos_token_id=None, eos_token_id=None),
    }
    names = "llama3", "gpt2", "ministral", "llama2", "gemma", "t5"
    paths = [
        families.write(tmp_path / f"{name} {what}.gguf", name, **about)
        for name in names
        for what, about in said.items()
    ]
    agree(paths, ["hello", "", "<s>hello", "hello</s>", "  a <|im_end|> b"])
    begins = {path.stem: read(path).bos is not None for path in paths}
    assert begins["llama3 silent"] and begins["ministral silent"] and begins["llama2 silent"]
    assert not begins["gpt2 silent"] and not begins["t5 silent"] and begins["t5 both"]


@pytest.mark.seconds(2)
def test_each_name(tmp_path):
    """Each name of a pre-tokenizer, in text that llama.cpp's engine can cut."""
    names = [*PRE_TOKENIZERS, None, ""]
    paths = [
        families.write(tmp_path / f"{n}.gguf", "gpt2", pre=name) for n, name in enumerate(names)
    ]
    cut = "phi4-mini", "qwen2"
    texts = [t for t in corpus.strings(500) if not any(approximated(name, t) for name in cut)]
    assert len(texts) > 100
    agree(paths, texts)


NAMED = [
    ["<|eot_id|>", "<|eom_id|>", "<|end_of_text|>", "<|begin_of_text|>"],
    ["<|end|>", "<|assistant|>", "<|endoftext|>", "<|system|>"],
    ["<end_of_turn>", "<start_of_turn>", "<eos>", "<bos>"],
    ["<|end|>", "<|return|>", "<|call|>", "<|channel|>", "<|message|>"],
    ["<|end|>", "<|flush|>", "<|calls|>"],
    ["<|fim_pad|>", "<|repo_name|>", "<|file_sep|>"],
    ["<|tool_response>", "</s>", "<turn|>"],
    ["</s>", "[EOS]", "<EOT>", "[e~["],
]


@pytest.mark.seconds(1)
@pytest.mark.parametrize("kind", [1, 3, 4], ids=["normal", "control", "user-defined"])
def test_ends_by_name(tmp_path, kind):
    """Of names of normal tokens, too: these become control tokens, and are matched whole."""
    paths = []
    for count, names in enumerate(NAMED):
        tokens, types = synthetic.tokens()
        tokens[-len(names) :], types[-len(names) :] = names, [kind] * len(names)
        for n in range(3):
            tokens[n] = f"<{n}>"  # of the others, none ends anything
        about = {"tokens": tokens, "token_type": types, "eos_token_id": 0}
        metadata = {f"tokenizer.ggml.{key}": value for key, value in about.items()}
        paths.append(synthetic.write(tmp_path / f"{count}.gguf", metadata=metadata))
    agree(paths, ["he".join(name for names in NAMED for name in names) + "ll"])


def test_bos_that_is_missing(tmp_path):
    path = families.write(tmp_path / "m.gguf", "t5", add_bos_token=True, bos_token_id=None)
    with pytest.raises(UserError) as info:
        read(path)
    assert str(info.value).endswith(
        "metadata 'tokenizer.ggml.bos_token_id' is missing, which 'tokenizer.ggml.add_bos_token' "
        "adds to each text"
    )


@pytest.mark.parametrize("model, strip", [("Phi-3 mini", True), ("Phi-4", False)])
def test_spaces_behind_special_tokens(tmp_path, model, strip):
    """llama.cpp knows the family by its name alone."""
    about = families.metadata("llama2") | {"general.name": model}
    rows = np.zeros((about["llama.vocab_size"], synthetic.HIDDEN), "f4")
    path = synthetic.write(tmp_path / "m.gguf", metadata=about, tensors={"token_embd.weight": rows})
    agree([path], ["<|im_end|> a", "<s> a", "<tool>  a", "<|endoftext|> a"])
    ours = read(path)
    assert (ours.encode("<|im_end|> a") == ours.encode("<|im_end|>a")) == strip


def test_what_has_no_token(tmp_path):
    """The key says which token stands for it, whatever its type."""
    types = [1 if its == 2 else its for its in families.metadata("t5")["tokenizer.ggml.token_type"]]
    path = families.write(tmp_path / "m.gguf", "t5", token_type=types, unknown_token_id=9)
    assert 9 in read(path).encode("\u1681")
    agree([path], ["\u1681 a", "a\u1681\u1682"])


def test_names_for_templates(tmp_path):
    """Templates get BOS by its name also where no text begins with it."""
    ours = read(families.write(tmp_path / "m.gguf", "llama3"))
    ours.chat_template = "{{ bos_token }}{{ messages[0].content }}{{ eos_token }}"
    said = ours.chat([{"role": "user", "content": "hello"}])
    assert said == "<s>hello</s>" and ours.bos is None
    begins = read(families.write(tmp_path / "n.gguf", "llama3", add_bos_token=True))
    assert begins.encode(said) == ours.encode(said)  # BOS is not there twice


def test_ends_of_texts():
    """A `tokenizer.json` that adds tokens says so itself: before, behind, or both."""
    small = families.small("llama3")
    about = json.loads(small.to_str())
    for single, bos, suffix in (
        ("<s> $A", small.token_to_id("<s>"), ()),
        ("$A </s>", None, (small.token_to_id("</s>"),)),
        ("<s> $A </s>", small.token_to_id("<s>"), (small.token_to_id("</s>"),)),
    ):
        adding = tokenizers.Tokenizer.from_str(json.dumps(about))
        adding.post_processor = tokenizers.processors.TemplateProcessing(
            single=single, special_tokens=[(t, small.token_to_id(t)) for t in ("<s>", "</s>")]
        )
        ours = Tokenizer.from_json(json.dumps({"huggingface": json.loads(adding.to_str())}))
        assert (ours.bos, ours.suffix) == (bos, suffix)
        assert ours.encode("hello a") == adding.encode("hello a").ids
        assert ours.encode("hello", end=False)[-1] == small.encode("hello").ids[-1]


def test_names_of_what_is_added():
    """A folder may say by its name alone what a text begins and ends with."""
    small = families.small("llama3")
    about = {"huggingface": json.loads(small.to_str())}
    about |= {"names": {"bos_token": "<s>", "eos_token": "</s>"}}
    for more, bos, suffix in (
        ({}, None, ()),
        ({"add_bos": True}, small.token_to_id("<s>"), ()),
        ({"add_eos": True, "suffix": [9]}, None, (small.token_to_id("</s>"),)),
        ({"add_eos": True, "suffix": [9], "names": {}}, None, (9,)),
    ):
        ours = Tokenizer.from_json(json.dumps(about | more))
        assert (ours.bos, ours.suffix) == (bos, suffix)
    broken = about | {"add_bos": True, "names": {"bos_token": "<none>"}}
    with pytest.raises(UserError, match="'bos_token' must be one of its tokens, not '<none>'$"):
        Tokenizer.from_json(json.dumps(broken))
