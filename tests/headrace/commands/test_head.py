"""`--head`: of `headrace compile`, `run` and `eval`."""

import json
import re

import pytest

from headrace.library.models import load
from host.image.image import Image
from tests.mapper import synthetic

from ..command import call, error


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """A file whose tied embedding is Q8_0."""
    kinds = {"token_embd.weight": synthetic.Type.Q8_0}
    return synthetic.write(tmp_path_factory.mktemp("m") / "m.gguf", kinds=kinds)


@pytest.mark.seconds(2)
def test_compile(path, capsys, tmp_path):
    out = tmp_path / "m.safetensors"
    args = "compile", "--model", path, "--context", 32, "-o", out
    said = call(capsys, *args, "--head", "U4")[1]
    assert re.search(r"^head +U4 ", said, re.M) and re.search(r"^embedding +U4 ", said, re.M)
    (line,) = [line for line in said.splitlines() if line.startswith("head: ")]
    its = Image.load(out).report["head"]
    assert line == (
        f"head: {its['bytes'] / 1024:.1f} KiB in U4 instead of {its['bytes_before'] / 1024:.1f} "
        f"KiB in S8: {(its['bytes_before'] - its['bytes']) / 1024:.1f} KiB less per token, error "
        f"{100 * its['error']:.2f} %"
    )
    assert 0.05 < its["error"] < 0.1 and its["source"] == "Q8_0"
    assert "head: " not in call(capsys, *args)[1]
    more = json.loads(call(capsys, *args, "--head", "S8", "--json")[1])["head"]
    assert more["error"] == 0 and more["bytes"] == more["bytes_before"]


@pytest.mark.seconds(2)
def test_eval_measures_it_against_the_file(path, capsys, tmp_path):
    """The reference keeps the file's head; the machine's perplexity has the cost."""
    text = tmp_path / "text"
    text.write_text("hello world, or so. " * 10)
    args = "eval", "--model", path, "--text", text, "--max-tokens", 100, "--json"
    plain, rounded = (json.loads(call(capsys, *args, *more)[1]) for more in ((), ("--head", "U4")))
    assert plain["reference_perplexity"] == rounded["reference_perplexity"]
    assert plain["perplexity"] != rounded["perplexity"]


@pytest.mark.seconds(2)
def test_images_are_kept_apart(path, capsys):
    run = "run", "--model", path, "--context", 32, "--tokens", 1, "--json", "--device", "model"
    for head in (), ("--head", "U4"), ():
        assert call(capsys, *run, *head)[0] == 0
    formats = {}
    for head in None, "U4":
        report = load(path, head=head).image("wide", context=32).report
        formats[head] = {op["operation"]: op["format"] for op in report["operations"]}["head"]
    assert formats == {None: "S8", "U4": "U4"}


def test_mistakes(path, capsys, tmp_path):
    out = tmp_path / "m.safetensors"
    args = "compile", "--model", path, "-o", out, "--head"
    assert error(capsys, *args, "Q6_K") == (
        "the head's format must be one of U4, S8, U5, S6, FP4, FP4_16, IQ4, not 'Q6_K'"
    )
    assert error(capsys, *args, "S6", "--set", "formats=U4,S8").startswith(
        "the head's format must be one that configuration 'wide+formats=U4,S8' has, U4, S8, not S6"
    )
    assert not out.exists()
    call(capsys, "compile", "--model", path, "--context", 32, "-o", out)
    assert error(capsys, "run", "--model", out, "--head", "U4") == (
        f"{out}: an image's head is fixed, head must be left out; compile the model again with it"
    )
