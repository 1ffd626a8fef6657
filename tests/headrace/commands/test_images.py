import json

import pytest

from headrace.library.models import load
from host.errors import UserError
from tests.mapper import synthetic
from tests.mapper.read import hf_files


def refused(model):
    """The message for a model that is not even read to its end."""
    with pytest.raises(UserError) as info:
        load(model)
    assert "\n" not in str(info.value)
    return str(info.value)


@pytest.mark.parametrize(
    "metadata, message",
    [
        ({"model": "bert"}, "its model must be 'gpt2' (byte-level BPE), 'llama' (SentencePiece"),
        ({"pre": "minicpm"}, "its pre-tokenizer must be gpt-2, phi-2, "),
        ({"merges": ["h zz"]}, "a merge must join two tokens to a third, not 'h zz'"),
    ],
)
def test_tokenizers_are_refused_before_compiling(tmp_path, metadata, message):
    path = synthetic.write(
        tmp_path / "m.gguf", metadata={f"tokenizer.ggml.{k}": v for k, v in metadata.items()}
    )
    assert message in refused(path)


def test_tokenizer_json_is_refused_before_compiling(tmp_path):
    folder = hf_files.write(tmp_path / "m")
    about = json.loads((folder / "tokenizer.json").read_text())
    about["model"]["type"] = "Unheard"
    (folder / "tokenizer.json").write_text(json.dumps(about))
    assert "the model file's description is damaged: " in refused(folder)
