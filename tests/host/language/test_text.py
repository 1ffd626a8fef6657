import io
import sys

import pytest

from host.errors import UserError
from host.language.text import read_text


def test_text(tmp_path, monkeypatch):
    (tmp_path / "a").write_bytes("né\n".encode())
    assert read_text(tmp_path / "a", most=4) == "né\n"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("né".encode())))
    assert read_text("-") == "né"


@pytest.mark.parametrize(
    "path, message",
    [
        ("/nowhere", "/nowhere: cannot be read: No such file or directory; check the name"),
        (
            "/dev",
            "/dev: cannot be read: Is a directory; a folder lies where a file is needed: choose "
            "another name",
        ),
        ("/dev/zero", "/dev/zero: must be a text of at most 1,000 bytes; it has more"),
        (
            "/dev/null/a",
            "/dev/null/a: cannot be read: Not a directory; a file lies where a folder is needed: "
            "choose "
            "another place",
        ),
    ],
)
def test_no_text(path, message):
    with pytest.raises(UserError) as info:
        read_text(path, most=1000)
    assert str(info.value) == message


def test_not_utf8(tmp_path):
    (tmp_path / "a").write_bytes(b"abc\xff")
    with pytest.raises(UserError, match="a: must be UTF-8 text, but byte 3 is 0xff$"):
        read_text(tmp_path / "a")
