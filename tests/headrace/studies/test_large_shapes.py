"""`python -m headrace.studies.large_shapes`: its files are models of these sizes."""

import math
import re
from dataclasses import replace

import pytest

from headrace.studies import large_shapes
from headrace.studies.large_shapes import SHAPES, fitted
from headrace.studies.random_weights import write
from host.errors import UserError
from mapper.read.find import load


# Numbers of weights, in billions, as those who made them say.
BILLIONS = {
    "Llama-3.2-1B": 1.2358,
    "Qwen3-0.6B": 0.5960,
    "Qwen3-4B": 4.0225,
    "Gemma-3-1B": 0.9999,
    "Phi-4-mini": 3.8360,
    "BitNet-2B-4T": 2.4128,
    "Llama-3.1-8B": 8.0303,
}


@pytest.mark.parametrize("name", SHAPES)
def test_sizes(name):
    """Tensors are as many, and layers of the kinds, that the model has."""
    shape = SHAPES[name]
    count = sum(math.prod(size) for _, size, _ in shape.tensors())
    assert round(count / 1e9, 4) == BILLIONS[name]
    kinds = shape.graph.order
    assert len(kinds) == shape.layers
    if name == "Gemma-3-1B":
        windows = [n for n, kind in enumerate(kinds) if "window" not in kind]
        assert windows == [5, 11, 17, 23]


@pytest.mark.seconds(2)
@pytest.mark.parametrize("name", ["Phi-4-mini", "BitNet-2B-4T", "Gemma-3-1B"])
def test_features(name, tmp_path):
    """A reader finds matrices in one, part of a head rotated, ternary weights, windows."""
    sizes = dict(layers=6, hidden=256, ffn=512, heads=2, kv_heads=1, vocab=512)
    write(path := tmp_path / "m.gguf", replace(SHAPES[name], **sizes))
    model = load(path)
    rotated = {"Phi-4-mini": 96}.get(name, model.head_dim)
    assert model.shape.rope.dim == rotated and model.family == SHAPES[name].family
    assert model.shape.window == (512 if name == "Gemma-3-1B" else 0)
    assert ("TERNARY" in model.formats) == (name == "BitNet-2B-4T")
    for linear in model.layers[5].linears.values():
        assert 0.003 < linear.take(slice(0, 64)).float32().std() < 0.3


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
    assert first.endswith(": derived 'wide+S6+head_dim=128,vector_words=65536,act_groups=128'")
    assert re.match(r"0\.\d\d GB to 0\.\d\d GB: \d+ s, \d+ s of CPUs, \d+ MB beyond", second)


def test_other_names(monkeypatch):
    monkeypatch.setattr("sys.argv", ["large_shapes", "Llama"])
    with pytest.raises(UserError, match="^the shape must be one of Llama-3.2-1B, .*, not 'Llama'$"):
        large_shapes.main()
