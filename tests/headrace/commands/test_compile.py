"""`headrace compile` where nobody named a configuration."""

from dataclasses import asdict

import pytest

import headrace
from headrace.studies.random_weights import Shape, write
from host import configurations
from host.image.image import Image

from ..command import call, error


LLAMA_1B = Shape(layers=1, hidden=2048, ffn=8192, heads=32, kv_heads=8, head_dim=64, vocab=512)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    write(path := tmp_path_factory.mktemp("model") / "m.gguf", LLAMA_1B)
    return path


@pytest.mark.seconds(5)
def test_derived(path, tmp_path, capsys):
    """It says why, prints the configuration, and that makes the same image again."""
    images = tmp_path / "a.safetensors", tmp_path / "b.safetensors"
    code, out, err = call(capsys, "compile", "--model", path, "-o", images[0], "--context", 64)
    assert code == 0 and err.splitlines()[0] == (
        "headrace: configuration 'wide' has 32768 words of vector memory, the model needs 116736; "
        "64 groups of activations, the model needs 256: derived "
        "'wide+vector_words=131072,act_groups=256'"
    )
    toml = tmp_path / "mine.toml"
    toml.write_text(out[out.index("# The configuration") :])
    config = configurations.read(str(toml))
    assert asdict(config) == asdict(headrace.load(path).machine)
    args = "compile", "--model", path, "-o", images[1], "--context", 64, "--config", toml
    code, out, err = call(capsys, *args)
    assert code == 0 and "derived" not in err and "# The configuration" not in out
    assert images[0].read_bytes() == images[1].read_bytes()
    assert Image.load(images[0]).accelerator == asdict(config)


@pytest.mark.seconds(5)
def test_derived_of_a_family(tmp_path, capsys):
    """Of Gemma 2, whose scores are capped, with heads of a size that there is no hardware of."""
    more = {"attn_logit_softcapping": 50.0, "attention.sliding_window": 20}
    sizes = dict(layers=2, hidden=128, ffn=192, heads=4, kv_heads=2, head_dim=80, vocab=96)
    path, images = tmp_path / "m.gguf", (tmp_path / "a.safetensors", tmp_path / "b.safetensors")
    write(path, Shape(family="gemma2", more=more, **sizes))
    code, out, err = call(capsys, "compile", "--model", path, "-o", images[0], "--context", 64)
    assert code == 0 and err.splitlines()[0] == (
        "headrace: configuration 'wide' has heads of 64 elements, the model needs 128; a score_cap "
        "of 0, the model needs 50: derived 'wide+head_dim=128,score_cap=50.0'"
    )
    (toml := tmp_path / "mine.toml").write_text(out[out.index("# The configuration") :])
    args = "compile", "--model", path, "-o", images[1], "--context", 64, "--config", toml
    assert call(capsys, *args)[0] == 0
    assert images[0].read_bytes() == images[1].read_bytes()


def test_named_one_is_not_changed(path, tmp_path, capsys):
    """Nor are values that somebody chose."""
    output = tmp_path / "m.safetensors"
    args = "compile", "--model", path, "-o", output
    text = f"{path}: cannot be mapped to configuration 'wide': "
    text += "8192 activations, the buffer holds 2048"
    assert error(capsys, *args, "--config", "wide") == text
    text = text.replace("'wide'", "'wide+act_groups=64'")
    assert error(capsys, *args, "--set", "act_groups=64") == text


@pytest.mark.seconds(5)
def test_chosen_values_and_needed_ones(path, tmp_path, capsys):
    args = "compile", "--model", path, "-o", tmp_path / "m.safetensors", "--set", "columns=1"
    code, out, err = call(capsys, *args)
    assert code == 0 and "\ncolumns = 1\n" in out and "\nact_groups = 256\n" in out
    assert err.splitlines()[0].startswith(
        "headrace: configuration 'wide+columns=1' has 64 groups of activations"
    )


def test_default(tmp_path, capsys):
    """Nothing is said where it fits."""
    args = "compile", "--model", "tiny", "-o", tmp_path / "m.safetensors"
    code, out, err = call(capsys, *args)
    assert code == 0 and "for configuration wide:" in out and "# The configuration" not in out
    assert "headrace:" not in err
