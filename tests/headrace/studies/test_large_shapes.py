"""`python -m headrace.studies.large_shapes`: its files are models of these sizes."""

import re
from dataclasses import replace

import pytest

from headrace.studies import large_shapes
from headrace.studies.large_shapes import SHAPES, fitted
from headrace.studies.random_weights import write
from host.errors import UserError
from mapper.read.find import load


@pytest.mark.seconds(3)
def test_fitted(tmp_path, capsys):
    sizes = dict(layers=2, ffn=4096, vocab=512)
    shape = replace(SHAPES["Qwen3-0.6B"], **sizes)
    write(path := tmp_path / "m.gguf", shape)
    model = load(path)
    assert (model.hidden, model.heads, model.kv_heads, model.head_dim) == (1024, 16, 8, 128)
    assert (len(model.layers), model.ffn, model.vocab) == tuple(sizes.values())
    fitted(path, tmp_path / "m.safetensors")
    first, second = capsys.readouterr().out.splitlines()
    assert first.endswith(": derived 'wide+head_dim=128,vector_words=65536,act_groups=128'")
    assert re.match(r"0\.\d\d GB to 0\.\d\d GB: \d+ s, \d+ s of CPUs, \d+ MB beyond", second)


def test_other_names(monkeypatch):
    monkeypatch.setattr("sys.argv", ["large_shapes", "Llama"])
    with pytest.raises(UserError, match="^the shape must be one of Llama-3.2-1B, .*, not 'Llama'$"):
        large_shapes.main()
