"""`headrace quantize` writes a folder's tokenizer as GGUF has it: the same tokens for us, and for
llama.cpp."""

import json

import numpy as np
import pytest

from host.language.tokenizer import Tokenizer
from mapper.read.find import load
from tests import llama_tokens
from tests.host.language import corpus, families
from tests.host.language.test_same_ids import approximated
from tests.mapper.read import hf_files

from .command import call


NAMES = ("gpt2", "llama3", "qwen2", "llama2", "gemma", "t5")


def folder_of(path, name):
    """A folder with a family's `tokenizer.json`, BOS before each text, and EOS behind it."""
    small = families.small(name)
    rows = np.zeros((small.get_vocab_size(), 64), np.float32)
    ids = {key: small.token_to_id(token) for key, token in (("bos", "<s>"), ("eos", "</s>"))}
    config = {"vocab_size": len(rows), "bos_token_id": ids["bos"], "eos_token_id": ids["eos"]}
    folder = hf_files.write(path, config=config, more={"model.embed_tokens.weight": rows})
    (folder / "tokenizer.json").write_text(small.to_str())
    about = {"add_bos_token": True, "add_eos_token": True, "bos_token": "<s>", "eos_token": "</s>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(about))
    return folder


@pytest.mark.seconds(5)
def test_same_tokens(tmp_path, capsys):
    texts, files = corpus.strings(400), {}
    for name in NAMES:
        folder, files[name] = folder_of(tmp_path / name, name), tmp_path / f"{name}.gguf"
        assert call(capsys, "quantize", folder, "--type", "F16", "-o", files[name])[0] == 0
    for (name, path), theirs in zip(files.items(), llama_tokens.answers(files.values(), texts)):
        models = load(tmp_path / name), load(path)
        before, after = (Tokenizer.from_json(m.tokenizer, bos=m.bos) for m in models)
        assert before.bos == after.bos is not None and before.suffix == after.suffix != ()
        assert after.names.items() >= before.names.items()
        for text, ids in zip(texts, theirs["ids"]):
            mine = before.encode(text)
            assert after.encode(text) == mine
            twice = ids[:2] == [after.bos] * 2  # llama.cpp adds BOS also to what begins with it
            assert approximated(name, text) or ids[twice:] == mine, (name, text)
