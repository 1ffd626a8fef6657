"""`headrace verify`: what it says of whole, damaged and illegal images."""

import json
from dataclasses import replace

import pytest

from headrace.cli import main
from mapper.compile import compile_model
from rtl.spec.config import get
from rtl.spec.isa import Attend, Sync, Vector, decode
from sim.models.toy import toy_model


@pytest.fixture(scope="module")
def image():
    return compile_model(toy_model(), get("small"), context=64)


def saved(path, image, kind=None, **fields):
    """Save an image, with other fields in its first instruction of a kind."""
    if kind is not None:
        memory, words = image.memory.copy(), image.instructions
        pc = next(
            n
            for n, word in enumerate(words)
            if isinstance(decode(word), kind) and (kind is not Sync or decode(word).take)
        )
        at = 64 * image.program + 32 * pc
        memory[at : at + 32] = list(
            replace(decode(words[pc]), **fields).encode().to_bytes(32, "little")
        )
        image = replace(image, memory=memory)
    image.save(path)
    return str(path)


def test_legal(image, tmp_path, capsys):
    path = saved(tmp_path / "a.safetensors", image)
    assert main(["verify", path]) == 0
    assert capsys.readouterr().out == f"{path}: whole, and its program is legal\n"
    assert main(["verify", path, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {}


@pytest.mark.parametrize(
    "kind, fields, rule",
    [
        (Vector, {"d": 2}, "align"),
        (Sync, {"take": 0}, "race"),
        (Attend, {"queries": 4}, "size"),
        (Attend, {"addr": 1 << 30}, "memory"),
    ],
)
def test_illegal(image, tmp_path, capsys, kind, fields, rule):
    path = saved(tmp_path / "a.safetensors", image, kind, **fields)
    assert main(["verify", path, "--json"]) == 2
    wrong = json.loads(capsys.readouterr().out)
    assert set(wrong) == {"rule", "where", "expected", "found"} and wrong["rule"] == rule
    assert wrong["where"].startswith("Instruction ")
    assert main(["verify", path]) == 2
    out, error = capsys.readouterr()
    assert not out and error.count("\n") == 1
    assert (
        f"{path}: Instruction " in error
        and f"breaks the rule `{rule}` (docs/isa.md): expected" in error
    )


def test_damaged(image, tmp_path, capsys):
    path = tmp_path / "a.safetensors"
    saved(path, image)
    raw = bytearray(path.read_bytes())
    raw[-100] ^= 4
    path.write_bytes(raw)
    for wrong_path in path, tmp_path / "none.safetensors":
        assert main(["verify", str(wrong_path), "--json"]) == 2
        wrong = json.loads(capsys.readouterr().out)
        assert wrong["rule"] == "image" and wrong["where"] == str(wrong_path)
        assert main(["verify", str(wrong_path)]) == 2
        assert capsys.readouterr().err.count("\n") == 1


def test_compile_refuses_what_is_not_legal(monkeypatch):
    """A defect of the mapper does not get as far as an image."""
    from host.errors import UserError
    from mapper.lowering.products import LowerProduct

    monkeypatch.setattr(LowerProduct, "emit", lambda self, node, to: None)
    with pytest.raises(
        UserError,
        match="^toy: the program for it is not legal, which is a defect of the "
        "compiler; please report it: Instruction ",
    ):
        compile_model(toy_model(), get("small"), context=64)
