import errno
import json

import pytest

from host.errors import UserError
from sim import timeline


def test_full_disk(tmp_path, monkeypatch):
    """No partial timeline is left, and what was there stays."""
    path = tmp_path / "t.json"
    timeline.write(path, [(0, 1)], 10, clock_mhz=100)
    before = path.read_text()
    dump = json.dump

    def full(value, file):
        dump(value, file)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(json, "dump", full)
    with pytest.raises(UserError, match=f"^{path}: cannot be written: No space left on device; make room there$"):
        timeline.write(path, [(0, 2)], 20, clock_mhz=100)
    assert path.read_text() == before and list(tmp_path.iterdir()) == [path]
