"""`headrace config --model`: the configuration that fits a model."""

import json

import headrace
from headrace.studies.random_weights import Shape, write
from host import configurations

from ..command import call, error


SHAPE = Shape(layers=1, hidden=256, ffn=512, heads=2, kv_heads=1, head_dim=256, vocab=512)


def test_model(tmp_path, capsys):
    """What other commands take, as a file of it."""
    write(path := tmp_path / "m.gguf", SHAPE)
    code, out, err = call(capsys, "config", "--model", path)
    assert code == 0 and err == (
        "headrace: configuration 'wide' has heads of 64 elements, the model needs 256: derived "
        "'wide+head_dim=256'\n"
    )
    (toml := tmp_path / "my.toml").write_text(out)
    assert configurations.read(str(toml)) == headrace.load(path).machine
    assert headrace.load(path).machine == headrace.machine("wide", head_dim=256)

    code, out, err = call(capsys, "config", toml, "--model", path)
    assert code == 0 and err == "" and "head_dim = 256" in out


def test_of_another(tmp_path, capsys):
    """Derived from what is named, with the values that somebody chose."""
    write(path := tmp_path / "m.gguf", SHAPE)
    args = "config", "small", "--model", path, "--json", "--set"
    code, out, _ = call(capsys, *args, "queries=1")
    found = json.loads(out)
    assert code == 0 and (found["beat_bits"], found["head_dim"], found["queries"]) == (128, 256, 1)
    code, out, err = call(capsys, *args, "head_dim=64")
    assert code == 0 and json.loads(out)["head_dim"] == 64 and err == ""


def test_image(tmp_path, capsys):
    """What an image was compiled for."""
    model = headrace.load("tiny")
    model.compile("small", context=32).save(path := tmp_path / "m.safetensors")
    code, out, _ = call(capsys, "config", "--model", path, "--json")
    assert code == 0 and json.loads(out)["name"] == "small"
    assert "cannot be read" in error(capsys, "config", "--model", tmp_path / "no.safetensors")
