"""Where a prompt comes from."""

import io
import json
import sys

import pytest

from ...host import fake
from ..command import call, error


@pytest.fixture
def stdin(monkeypatch):
    def give(data):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))

    return give


def ids(capsys, model, *args):
    code, out, _ = call(capsys, "run", "--model", model, "--tokens", 1, "--json", *args)
    assert code == 0
    return json.loads(out)["prompt_ids"]


def test_the_same_from_everywhere(model, capsys, tmp_path, stdin):
    """A line break at the end, which editors and `echo` leave, is no part of it."""
    text = "hello\nwörld"
    expected = ids(capsys, model, "--prompt", text)
    for data in text.encode(), f"{text}\n".encode(), f"{text}\r\n".encode():
        stdin(data)
        assert ids(capsys, model, "--prompt", "-") == expected
        (tmp_path / "prompt").write_bytes(data)
        assert ids(capsys, model, "--prompt-file", tmp_path / "prompt") == expected
        stdin(data)
        assert ids(capsys, model, "--prompt-file", "-") == expected
    stdin(b"a\n\n")
    assert ids(capsys, model, "--prompt", "-") == ids(capsys, model, "--prompt", "a\n")


@pytest.mark.parametrize(
    "data, message",
    [
        (b"", "must be a text, it is empty"),
        (b"\n", "must be a text, it is empty"),
        (b"a\xff", "must be UTF-8 text, but byte 1 is 0xff"),
        (b"x" * ((8 << 20) + 1), "must be a text of at most 8,388,608 bytes; it has more"),
    ],
)
def test_no_prompt(model, capsys, tmp_path, stdin, data, message):
    stdin(data)
    assert error(capsys, "run", "--model", model, "--prompt", "-") == f"stdin: {message}"
    (tmp_path / "prompt").write_bytes(data)
    assert (
        error(capsys, "run", "--model", model, "--prompt-file", tmp_path / "prompt")
        == f"{tmp_path}/prompt: {message}"
    )
    assert not fake.Device.made and not (tmp_path / "cache").exists()  # before anything is compiled


def test_one_prompt(model, capsys):
    assert (
        error(capsys, "run", "--model", model, "--prompt", "a", "--prompt-file", "b")
        == "argument --prompt-file: not allowed with argument --prompt; see headrace run --help"
    )
    assert (
        error(capsys, "run", "--model", model, "--prompt-file", "/nowhere")
        == "/nowhere: cannot be read: No such file or directory; check the name"
    )
