"""A family with other tensors than Llama's needs its own file, and nothing else."""

from dataclasses import replace

import gguf
import numpy as np
import pytest
from gguf import GGMLQuantizationType as Type

from host.errors import UserError
from host.language.tokenizer import Tokenizer
from mapper.families import FAMILIES
from mapper.read import gguf_model, hf_model, native
from rtl.spec.config import get
from rtl.spec.isa import WeightFormat
from sim.models.toy import toy_model

from ...sw_ref.pytorch.test_interpreter import same_as_pytorch
from .. import synthetic
from .other import NAME, OTHER, RANK, write


@pytest.fixture(autouse=True)
def registered(monkeypatch):
    monkeypatch.setitem(FAMILIES, NAME, OTHER)


def test_toy_equals_pytorch():
    model = toy_model(heads=6, kv_heads=2, family=NAME)
    assert model.layers[0].linears["o_a"].codes.shape == (RANK, 6 * 64)
    assert set(model.layers[0].vectors) == set(OTHER.norms)
    same_as_pytorch(get("small"), model, length=5)


def test_gguf(tmp_path):
    """Its names, its architecture's keys, and its order of rows."""
    path = write(tmp_path / "m.gguf", kind=Type.Q8_0)
    model, tensors = gguf_model.read(path), {t.name: t for t in gguf.GGUFReader(path).tensors}
    assert model.family == NAME and model.context == 256
    for n, layer in enumerate(model.layers):
        assert set(layer.linears) == set(OTHER.linears)
        for name, its in OTHER.linears.items():
            tensor = tensors[f"blk.{n}.{its.gguf}.weight"]
            expected = gguf.dequantize(tensor.data, tensor.tensor_type)
            np.testing.assert_array_equal(layer.linears[name].float32(), expected)
        for name, its in OTHER.norms.items():
            np.testing.assert_array_equal(
                layer.vectors[name], tensors[f"blk.{n}.{its.gguf}.weight"].data
            )
    same_as_pytorch(get("small"), model, length=3)


def test_interleaved_rows(monkeypatch, tmp_path):
    """Where a family says so, rows change places, and no others do."""
    path = write(tmp_path / "m.gguf", kind=Type.Q8_0)
    plain = gguf_model.read(path).layers[0].linears
    monkeypatch.setitem(FAMILIES, NAME, replace(OTHER, interleaved=("q", "k")))
    turned = gguf_model.read(path).layers[0].linears
    assert {n for n in plain if (plain[n].codes != turned[n].codes).any()} == {"q", "k"}


def test_folder_and_back(tmp_path):
    """What is written says its own type, and is read as what it was."""
    model = replace(
        toy_model(family=NAME, format=WeightFormat.SPARSE8, vocab=synthetic.VOCAB),
        tokenizer=gguf_model.read(write(tmp_path / "m.gguf", kind=Type.Q8_0)).tokenizer,
    )
    native.save(model, tmp_path / "m", Tokenizer.from_json(model.tokenizer).inner.to_str())
    back = hf_model.read(tmp_path / "m")
    assert back.family == NAME
    for ours, theirs in zip(model.layers, back.layers, strict=True):
        assert set(ours.linears) == set(theirs.linears) and set(ours.vectors) == set(theirs.vectors)
        for name in ours.linears:
            np.testing.assert_array_equal(ours.linears[name].codes, theirs.linears[name].codes)
        for name in ours.vectors:
            np.testing.assert_array_equal(ours.vectors[name], theirs.vectors[name])


@pytest.mark.parametrize(
    "options, text",
    [
        ({"metadata": {"other2.block_count": None}}, "'other2.block_count' is missing"),
        (
            {"metadata": {"other2.logit_scale": 2.0}},
            "'other2.logit_scale' must be 1.0, not 2.0; this model cannot be mapped yet",
        ),
        (
            {"metadata": {"other2.altup": 2}},
            "metadata 'other2.altup' is not known, and may change what the model computes; this "
            "model cannot be mapped yet",
        ),
        (
            {"metadata": {"other2.embedding_length": 32}},
            "tensor 'blk.0.attn_norm.weight' must have the shape [32] by the file's own metadata, "
            "not [64]",
        ),
    ],
)
def test_refused(tmp_path, options, text):
    path = write(tmp_path / "m.gguf", **options)
    with pytest.raises(UserError) as caught:
        gguf_model.read(path)
    assert str(caught.value) == f"{path}: {text}"


def test_tensors_of_another_family(tmp_path):
    with pytest.raises(UserError, match="tensor 'blk.0.attn_out_a.weight' is missing"):
        gguf_model.read(synthetic.write(tmp_path / "m.gguf", arch="other2"))


def test_known_architectures(tmp_path):
    path = synthetic.write(tmp_path / "m.gguf", arch="llama5")
    with pytest.raises(
        UserError, match="architecture must be .*'llama' or .* or 'other2', not 'llama5'"
    ):
        gguf_model.read(path)
