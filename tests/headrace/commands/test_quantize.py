"""`headrace quantize`, from the command to a model that answers the same."""

import json

import gguf
import numpy as np
import pytest

from host.language.tokenizer import Tokenizer
from mapper.read.find import load
from mapper.read.gguf_container import File
from mapper.read.hyperparameters import differing
from mapper.write import gguf as writer
from sw_ref.float32 import Float32
from tests.mapper import synthetic
from tests.mapper.read import hf_files

from ..command import call, error


@pytest.fixture
def source(tmp_path):
    return synthetic.write(tmp_path / "m.gguf", kind=synthetic.Type.F32)


@pytest.fixture(params=[2, [2, 0], [2, 0, 5]], ids=str)
def folder(tmp_path, request):
    """A folder, with tokens that end an answer."""
    made = hf_files.write(tmp_path / "m", config={"eos_token_id": request.param})
    template = {"chat_template": "{{ messages }}", "add_bos_token": True}
    (made / "tokenizer_config.json").write_text(json.dumps(template))
    return made


def test_gguf_file(source, tmp_path, capsys):
    out = tmp_path / "new" / "out.gguf"
    assert call(capsys, "quantize", source, "--type", "Q4_0", "-o", out) == (
        0,
        f"{out}: m, 15 matrices: 14 in Q4_0, 1 in Q8_0\n"
        "rows that are no multiple of the type's block: 1 in Q8_0 instead\n",
        "",
    )
    assert load(out).layers[0].linears["up"].source == "Q4_0"
    assert [path.name for path in out.parent.iterdir()] == ["out.gguf"]


def test_rows_that_fit_no_block(source, tmp_path, capsys):
    out = tmp_path / "out.gguf"
    code, said, _ = call(capsys, "quantize", source, "--type", "tq2_0", "--head", "F16", "-o", out)
    assert code == 0 and said.splitlines() == [
        f"{out}: m, 15 matrices: 14 in Q8_0, 1 in F16",
        "rows that are no multiple of the type's block: 14 in Q8_0 instead",
    ]


def test_mixture(tmp_path, capsys):
    """As llama-quantize's Q4_K_M: of two layers, the second has more bits for v and down."""
    source = synthetic.write(tmp_path / "m.gguf", kind=synthetic.Type.F32, sizes=synthetic.WIDE)
    out = tmp_path / "out.gguf"
    assert call(capsys, "quantize", source, "--type", "Mixed", "-o", out) == (
        0,
        f"{out}: m, 15 matrices: 12 in Q4_K, 3 in Q6_K\n",
        "",
    )
    file, model = File(out), load(out)
    assert file.metadata["general.file_type"] == gguf.LlamaFileType.MOSTLY_Q4_K_M
    assert model.embedding.source == "Q6_K"
    for layer, more in zip(model.layers, [(), ("v", "down")]):
        assert {n for n, its in layer.linears.items() if its.source == "Q6_K"} == set(more)


def test_folder_is_the_same_model(folder, tmp_path, capsys):
    out = tmp_path / "out.gguf"
    assert call(capsys, "quantize", folder, "--type", "F32", "-o", out)[0] == 0
    a, b = load(folder), load(out)
    for name in (
        "name context bos chat_template family hidden heads kv_heads head_dim ffn vocab tied"
    ).split():
        assert getattr(a, name) == getattr(b, name), name
    assert differing(a.shape, b.shape) is None
    assert b.eos == tuple(dict.fromkeys((*a.eos, 0, 2)))  # GGUF's end by their names, too
    ids = [Tokenizer.from_json(m.tokenizer).encode("hello <|im_end|> w0rld") for m in (a, b)]
    assert ids[0] == ids[1]
    np.testing.assert_array_equal(*(logits(model, ids[0]) for model in (a, b)))


def logits(model, ids):
    return next(iter(Float32(model)([ids])))


def test_more_ends_than_keys(tmp_path, capsys):
    folder = hf_files.write(tmp_path / "m", config={"eos_token_id": [2, 0, 5, 6]})
    out = tmp_path / "out.gguf"
    assert "at most 3 tokens must end an answer" in error(
        capsys, "quantize", folder, "--type", "F32", "-o", out
    )
    assert not out.exists()


def test_mistakes(source, tmp_path, capsys):
    out, args = tmp_path / "out.gguf", ("--type", "Q4_0", "-o")
    assert error(capsys, "quantize", source, *args, source) == (
        f"{source}: exists already; give a new file"
    )
    assert error(capsys, "quantize", tmp_path / "x", *args, out).startswith(
        f"{tmp_path / 'x'}: no such model"
    )
    assert error(capsys, "quantize", source, "--type", "Q4_K_M", "-o", out).startswith(
        "--type must be one of F32, "
    )
    assert "'normalizer' must be that of smollm or starcoder or refact" in error(
        capsys, "quantize", "tiny", *args, out
    )
    assert not out.exists()


def test_nothing_is_half_written(source, tmp_path, capsys, monkeypatch):
    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(writer, "rounded", full)
    out = tmp_path / "new" / "out.gguf"
    assert error(capsys, "quantize", source, "--type", "Q4_0", "-o", out) == (
        f"{out}: cannot be written: No space left on device; make room there"
    )
    assert not list(out.parent.iterdir())


def test_help_names_the_types(capsys):
    with pytest.raises(SystemExit):
        call(capsys, "quantize", "--help")
    said = capsys.readouterr().out
    assert all(kind in said for kind in writer.KINDS)
