import errno
import os
from pathlib import Path

import pytest

from host.errors import UserError
from host.files import check_target, replacing


def test_whole_or_not_at_all(tmp_path):
    path = tmp_path / "new" / "file"
    with replacing(path) as partial:
        partial.write_text("first")
        assert not path.exists() and partial.parent == path.parent
    with pytest.raises(KeyboardInterrupt), replacing(path) as partial:
        partial.write_text("sec")
        raise KeyboardInterrupt
    assert path.read_text() == "first" and list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("umask, mode", [(0o022, 0o644), (0o077, 0o600)])
def test_umask_says_who_may_read(tmp_path, umask, mode):
    before = os.umask(umask)
    try:
        with replacing(tmp_path / "file") as partial:
            partial.write_text("")
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode & 0o777 == mode


def test_full_disk(tmp_path):
    """The system's error names no file; the message names the one that was asked for."""
    path = tmp_path / "file"
    path.write_text("first")
    with (
        pytest.raises(
            UserError,
            match=f"^{path}: cannot be written: No space left on device; make room there$",
        ),
        replacing(path) as partial,
    ):
        partial.write_text("sec")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert path.read_text() == "first" and list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    "where, message",
    [
        (
            "file/a",
            "file: cannot be written: File exists; a file lies where a folder is needed: choose "
            "another place",
        ),
        (
            "file/a/b",
            "file/a: cannot be written: Not a directory; a file lies where a folder is needed: "
            "choose another "
            "place",
        ),
        (
            "folder",
            "folder: cannot be written: Is a directory; a folder lies where a file is needed: "
            "choose another name",
        ),
        ("x" * 300, "x: cannot be written: File name too long; choose a shorter name"),
    ],
)
def test_cannot_be_written(tmp_path, where, message):
    (tmp_path / "file").write_text("")
    (tmp_path / "folder" / "within").mkdir(parents=True)
    with pytest.raises(UserError) as info, replacing(tmp_path / where) as partial:
        partial.write_text("")
    assert str(info.value).endswith(message)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["file", "folder"]


def test_devices_stay_devices(tmp_path):
    """Root may replace them, and a pipe is anybody's."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    (tmp_path / "null").symlink_to("/dev/null")
    for path in pipe, tmp_path / "null":
        for refuse in check_target, lambda path: replacing(path).__enter__():
            with pytest.raises(
                UserError, match="must be a file to write, it is a device or a pipe$"
            ):
                refuse(path)
    assert pipe.is_fifo() and (tmp_path / "null").is_symlink()
    assert len(list(tmp_path.iterdir())) == 2


def test_another_file_keeps_its_name(tmp_path):
    with (
        pytest.raises(UserError, match="^/nowhere: cannot be written: No such file"),
        replacing(tmp_path / "a"),
    ):
        open("/nowhere")


@pytest.mark.parametrize(
    "where, message",
    [
        ("folder", "folder: must be a file to write, it is a folder"),
        ("file/a/b", "file/a/b: cannot be written: {}/file is no folder; choose another place"),
        (
            "sealed/a/b",
            "sealed/a/b: cannot be written: nothing may be written to {}/sealed; choose another "
            "place",
        ),
    ],
)
def test_refused_before_anything_takes_time(tmp_path, monkeypatch, where, message):
    (tmp_path / "file").write_text("")
    for name in "folder", "sealed":
        (tmp_path / name).mkdir()
    access = os.access
    monkeypatch.setattr(
        os, "access", lambda path, mode: Path(path).name != "sealed" and access(path, mode)
    )
    check_target(tmp_path / "file")
    check_target(tmp_path / "new" / "file")
    with pytest.raises(UserError) as info:
        check_target(tmp_path / where)
    assert str(info.value) == f"{tmp_path}/{message.format(tmp_path)}"
