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
    with pytest.raises(
        UserError, match=f"^{path}: cannot be written: No space left on device; make room there$"
    ):
        timeline.write(path, [(0, 2)], 20, clock_mhz=100)
    assert path.read_text() == before and list(tmp_path.iterdir()) == [path]


def test_nodes_have_tracks(tmp_path):
    path = tmp_path / "t.json"
    timeline.write(
        path,
        [(0, 0b1000), (9, 0)],
        10,
        clock_mhz=100,
        nodes=[("linear", "layer / q", 2, 5), ("vector", "norm", 3, 1)],
    )
    events = json.loads(path.read_text())["traceEvents"]
    tracks = {e["tid"]: e["args"]["name"] for e in events if e["name"] == "thread_name"}
    spans = {
        (tracks[e["tid"]], e["name"]): tuple(e["args"].values()) for e in events if e["ph"] == "X"
    }
    assert spans == {
        ("linear", "linear"): (0, 9),
        ("linear: nodes", "layer / q"): (2, 5),
        ("vector: nodes", "norm"): (3, 1),
    }
