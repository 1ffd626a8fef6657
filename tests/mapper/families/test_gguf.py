"""GGUF files of each family, as llama.cpp's converter writes them: the bits of the folder, and the
answers of llama.cpp."""

from dataclasses import replace
from functools import cache
from unittest.mock import patch

import numpy as np
import pytest

from mapper.families import FAMILIES
from mapper.read import gguf_model, hf_model
from sim.models.hf import HF_MODELS, save
from sw_ref.float32 import Float32

from ...chosen import cases
from ...llama_answers import answers
from .as_gguf import ARCHITECTURES, write
from .models import IDS, KEPT, folder, logits


pytestmark = pytest.mark.seconds(1)  # whole models, which `make check` leaves out


# Of which llama.cpp has no architecture.
NONE = ("helium", "ministral")
WITH_GGUF = cases((name for name in HF_MODELS if name not in NONE), KEPT)
FIRST = {"bitnet": dict(hidden_act="silu")}  # which llama.cpp has alone
NEAR = 0.005  # of logarithms of probabilities: llama.cpp's keys and values are half floats
# The file has frequencies of llama3 as divisors, in float32.
ROUNDED = ("llama3.1",)


@cache
def files(name):
    """A model's folder, and its GGUF file."""
    path, model = folder(), HF_MODELS[name].make(**HF_MODELS[name].in_gguf | FIRST.get(name, {}))
    return save(path, model), write(path / "model.gguf", model)


@cache
def theirs(name):
    """llama.cpp's logarithms of probabilities behind `IDS`."""
    return answers(IDS, [files(name)[1]])[0]


def distance(name, model):
    """Of float32's answer to llama.cpp's, relative."""
    found = next(iter(Float32(model)([IDS])))[-1].astype(np.float64)
    found -= found.max()
    found -= np.log(np.exp(found).sum())
    expected = theirs(name)
    return np.sqrt(np.square(found - expected).mean() / expected.var())


def test_every_family_has_a_file():
    """But for those that have no architecture."""
    named = {hf for name in FAMILIES for hf in FAMILIES[name].called("hf")}
    assert named - ARCHITECTURES.keys() == {"helium", "ministral"}
    theirs = {arch for its in FAMILIES.values() for arch in its.called("gguf")}
    assert theirs - {*ARCHITECTURES.values()} == {"bitnet-b1.58"}


@pytest.mark.seconds(2)
@pytest.mark.parametrize("name", WITH_GGUF)
def test_bits_of_the_folder(name):
    folder, file = files(name)
    expected, got = logits(hf_model.read(folder)), logits(gguf_model.read(file))
    if name in ROUNDED:
        assert np.linalg.norm(got - expected) < 0.02 * np.linalg.norm(expected)
    else:
        np.testing.assert_array_equal(got, expected)


@pytest.mark.seconds(2)
@pytest.mark.parametrize("name", WITH_GGUF)
def test_answers_of_llama_cpp(name):
    assert distance(name, gguf_model.read(files(name)[1])) < NEAR


@pytest.mark.seconds(2)
def test_rows_in_another_order():
    """The answers tell the order of rows."""
    path = files("tinyllama")[1]
    with patch.dict(FAMILIES, llama=replace(FAMILIES["llama"], interleaved=())):
        assert distance("tinyllama", gguf_model.read(path)) > 10 * NEAR
