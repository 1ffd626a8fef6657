"""`headrace prune`: a folder with fewer weights, which commands take as a model."""

import re

from mapper.read.find import load

from ..command import call


def test_prune(model, capsys, tmp_path):
    """What is printed is what the folder has: at most two of each four weights of the layers."""
    (tmp_path / "text").write_text("hello world, hello again. " * 20)
    to = tmp_path / "pruned"
    code, out, err = call(
        capsys, "prune", "--model", model, "--text", tmp_path / "text", "--max-tokens", 64, "-o", to
    )
    assert code == 0 and err == ""
    kept, total = (
        int(n.replace(",", "")) for n in re.search(r"([\d,]+) of ([\d,]+)", out).groups()
    )
    layers = [its.codes for layer in load(str(to)).layers for its in layer.linears.values()]
    assert total == sum(codes.size for codes in layers)
    assert kept == sum(int((codes != 0).sum()) for codes in layers) > 0
    assert all(((codes.reshape(len(codes), -1, 4) != 0).sum(-1) <= 2).all() for codes in layers)
