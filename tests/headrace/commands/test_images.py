import json

import pytest

from headrace.library.models import load
from host.errors import UserError
from tests.mapper import synthetic
from tests.mapper.read import hf_files


def refused(model, monkeypatch):
    """The message for a model that must not be compiled, by either way to do it."""

    def fail(*args):
        raise AssertionError("compiled a model whose tokenizer cannot be used")

    monkeypatch.setattr("mapper.compile.compile_model", fail)
    read, messages = load(model), set()
    for command in read.compile, read.image:
        with pytest.raises(UserError) as info:
            command("small", context=32)
        messages.add(str(info.value))
    assert len(messages) == 1 and "\n" not in min(messages)
    return min(messages)


@pytest.mark.parametrize(
    "metadata, message",
    [
        ({"model": "llama"}, "its model must be 'gpt2' (byte-level BPE), not 'llama'"),
        ({"pre": "tekken"}, "its pre-tokenizer must be gpt-2 or smollm or llama-bpe, not 'tekken'"),
        ({"merges": ["h zz"]}, "a merge must join two tokens to a third, not 'h zz'"),
    ],
)
def test_tokenizers_are_refused_before_compiling(tmp_path, monkeypatch, metadata, message):
    path = synthetic.write(
        tmp_path / "m.gguf", metadata={f"tokenizer.ggml.{k}": v for k, v in metadata.items()}
    )
    assert message in refused(path, monkeypatch)


def test_tokenizer_json_is_refused_before_compiling(tmp_path, monkeypatch):
    folder = hf_files.write(tmp_path / "m")
    about = json.loads((folder / "tokenizer.json").read_text())
    about["model"]["type"] = "Unheard"
    (folder / "tokenizer.json").write_text(json.dumps(about))
    assert "the model file's description is damaged: " in refused(folder, monkeypatch)
