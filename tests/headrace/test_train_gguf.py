"""`python -m sw_ref.training gguf`: small runs, whose files the mapper reads."""

import json
import re
import shlex
import shutil
import sys
from pathlib import Path

import pytest
import torch

from headrace import train
from host.language.tokenizer import Tokenizer
from mapper.families import FAMILIES
from mapper.read.find import load
from rtl.spec.isa import WeightFormat
from sw_ref.training import blocks
from sw_ref.training.files import GGUF
from sw_ref.training.llama import Llama, Shape

from .test_train import SMALL, history, world  # noqa: F401 - a fixture


SHAPE = Shape(vocab=288, hidden=256, heads=4, kv_heads=2, layers=1, ffn=256, context=32)
KEPT = {"q1_0": WeightFormat.U1, "q2_k": WeightFormat.U2, "q3_k": WeightFormat.U3}
DATA = ["--data", "text.tgz"]


def run(*words, shape=SHAPE):
    return train.main([*words], shape)


@pytest.fixture(scope="module")
def trained(world):  # noqa: F811
    """The folder, with a dense run, and one of each type that goes on from it."""
    assert run("dense", "--steps", "12", "--output", "wide", *DATA, *SMALL) == 0
    for form in KEPT:
        words = ["gguf", "--format", form, "--start", "wide", "--steps", "2", "--output", form]
        assert run(*words, *DATA, *SMALL) == 0
    return world


@pytest.mark.parametrize("form", KEPT)
def test_the_mapper_reads_it(trained, form):
    """If not, nothing can run what was trained; or the mapper has other weights, rows of Q and K
    in another order, or other tokens than training."""
    source = load(trained / form / GGUF)
    mine = Llama(SHAPE)
    mine.load_state_dict(torch.load(trained / form / "checkpoint.pt", weights_only=True))
    assert (source.name, source.vocab, source.context) == (form, SHAPE.vocab, SHAPE.context)
    assert source.shape.norm_eps == pytest.approx(SHAPE.rms_eps) and source.tied
    (layer,) = source.layers
    for part, names in FAMILIES["llama"].linears.items():
        its = layer.linears[part]
        assert its.format == KEPT[form] and its.rounding is None
        weights = mine.linears[f"layers.0.{names.hf}"].weight.detach()
        assert (its.float32() == blocks.weights(weights, form).numpy()).all()
    table = blocks.weights(mine.embed_tokens.weight.detach(), "q8_0")
    assert (source.embedding.float32() == table.numpy()).all()
    assert (source.outside["norm"] == mine.norm.weight.detach().numpy()).all()
    tokenizer = Tokenizer.from_json(source.tokenizer, bos=source.bos, eos=source.eos)
    assert tokenizer.bos is None and len(tokenizer.eos) == 1
    kept = json.loads((trained / form / "tokenizer.json").read_text())
    assert kept["normalizer"] is None
    assert tokenizer.inner.get_vocab() == kept["model"]["vocab"]
    said = "the people, 17 of these nations"
    assert tokenizer.inner.decode(tokenizer.encode(said)) == said


def test_card(trained):
    for form in KEPT:
        card, about = (trained / form / "README.md").read_text(), history(trained / form)
        assert re.findall("^python -m sw_ref.training .*", card, re.M) == about["commands"]
        assert about["steps"] == 14 and about["sha256"] in card
        assert about["bytes"] == (trained / form / GGUF).stat().st_size


def test_the_cards_command_gives_the_same_file(trained, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(trained / "wide", "wide")
    words = shlex.split(history(trained / "q2_k")["commands"][-1])
    assert run(*words[3:], "--data", str(trained / "text.tgz")) == 0
    for file in GGUF, "README.md":
        assert Path("q2_k", file).read_bytes() == (trained / "q2_k" / file).read_bytes(), file


def test_rows_that_blocks_do_not_fill(trained, capsys):
    """They are refused at once, in one line."""
    words = ["gguf", "--format", "q3_k", "--steps", "1", "--output", "refused", *DATA]
    assert run(*words, shape=None, *["--shape", "trits"]) == 2
    err = capsys.readouterr().err
    assert err == "training: --shape: rows must be multiples of 256 in q3_k, not 320; take blocks\n"
    assert not (trained / "refused" / GGUF).exists()


def test_without_the_library(trained, capsys, monkeypatch):
    """It is missed before the training, not behind it."""
    monkeypatch.setitem(sys.modules, "gguf", None)
    assert run("gguf", "--format", "q1_0", "--steps", "1", "--output", "none", *DATA, *SMALL) == 2
    err = capsys.readouterr().err
    assert err.startswith("training: gguf: the library must be installed") and err.count("\n") == 1
