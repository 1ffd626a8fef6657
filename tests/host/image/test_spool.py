import resource
import signal

import pytest

from host.errors import UserError
from host.image import spool as spool_module
from host.image.spool import Spool


def test_spool(tmp_path, monkeypatch):
    """What is written can be read, also what is written later in front of it; nothing is left."""
    monkeypatch.setattr(spool_module, "scratch_folder", lambda: tmp_path)
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
    monkeypatch.setattr(spool_module, "scratch_folder", lambda: tmp_path)
    spool = Spool()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, limits[1]))
    try:
        with pytest.raises(
            UserError,
            match=rf"^{tmp_path} \(temporary files; TMPDIR .*\): cannot be written: File too",
        ):
            for _ in range(4):
                spool.write(bytes(1 << 20))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    monkeypatch.setattr(spool_module, "scratch_folder", lambda: tmp_path / "none")
    with pytest.raises(UserError, match="none.*: cannot be written: No such file"):
        Spool()


def test_scratch_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(spool_module.tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    assert spool_module.scratch_folder() == str(tmp_path)
    monkeypatch.delenv("TMPDIR")
    assert spool_module.scratch_folder() in ("/var/tmp", str(tmp_path))
    monkeypatch.setattr(spool_module.os, "access", lambda path, mode: False)
    assert spool_module.scratch_folder() == str(tmp_path)
