"""`python -m headrace.studies.large_file`: what it writes is a model, and it sees memory."""

import re

import numpy as np
import pytest

from headrace.studies.large_file import CONFIG, Memory, compiled, shape_of
from headrace.studies.random_weights import write
from host.image.image import Image
from mapper.read.find import load


SHAPE = shape_of(2, 8)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    write(path := tmp_path_factory.mktemp("large") / "m.gguf", SHAPE)
    return path


def test_file(path):
    """Weights are numbers of a model's size, and differ."""
    model = load(path)
    assert (model.vocab, model.hidden, len(model.layers)) == (SHAPE.vocab, 512, 2)
    assert model.formats == {"U4", "S6"} <= {*CONFIG.formats}
    for linear in (model.head, model.layers[1].linears["down"]):
        weights = linear.take(slice(0, 64)).float32()
        assert 0.003 < weights.std() < 0.3 and len(np.unique(weights)) > 50


@pytest.mark.seconds(2)
def test_compiled(path, tmp_path, capsys):
    compiled(path, tmp_path / "m.safetensors")
    pattern = r"0\.02 GB to 0\.02 GB: \d+ s, \d+ s of CPUs, \d+ MB beyond mapped files \(.* GB with"
    assert re.match(pattern, capsys.readouterr().out)
    assert Image.load(tmp_path / "m.safetensors").accelerator["name"] == "large"


def test_memory_is_seen():
    """The most, and of arrays, not of files."""
    with Memory(period=0.001) as before:
        pass
    with Memory(period=0.001) as memory:
        array = np.ones(64 << 20, np.uint8)
        del array
    assert memory.most > before.most + (48 << 20)
