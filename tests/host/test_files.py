import errno
import os
import resource
import signal
from pathlib import Path

import pytest

from host import files
from host.errors import UserError
from host.files import Spool, check_target, replacing


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


def test_spool(tmp_path, monkeypatch):
    """What is written can be read, also what is written later in front of it; nothing is left."""
    monkeypatch.setattr(files, "scratch_folder", lambda: tmp_path)
    spool = Spool()
    spool.seek(5)
    spool.write(b"behind")
    spool.seek(2)
    spool.write(b"of:")
    found = spool.array(2)
    assert found.tobytes() == b"of:behind" and not found.flags.writeable
    del spool
    assert found.tobytes() == b"of:behind" and not list(tmp_path.iterdir())


def test_spool_on_a_full_disk(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "scratch_folder", lambda: tmp_path)
    spool = Spool()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, limits[1]))
    try:
        with pytest.raises(UserError, match=f"^{tmp_path}: temporary file: cannot be written: F"):
            for _ in range(4):
                spool.write(bytes(1 << 20))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    monkeypatch.setattr(files, "scratch_folder", lambda: tmp_path / "none")
    with pytest.raises(UserError, match="none.*: cannot be written: No such file"):
        Spool()


def test_scratch_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(files.tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    assert files.scratch_folder() == str(tmp_path)
    monkeypatch.delenv("TMPDIR")
    assert files.scratch_folder() in ("/var/tmp", str(tmp_path))
    monkeypatch.setattr(files.os, "access", lambda path, mode: False)
    assert files.scratch_folder() == str(tmp_path)
