import errno
import json

import pytest

from host.errors import UserError
from sim import timeline
from sim.fpga.nodes import Span


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
        nodes=[
            Span("linear", "layer / q", 3, 2, 5, 64, 0, "layer 3 / q"),
            Span("vector", "norm", None, 3, 1, 0, 0, "norm"),
        ],
    )
    events = json.loads(path.read_text())["traceEvents"]
    tracks = {e["tid"]: e["args"]["name"] for e in events if e["name"] == "thread_name"}
    spans = {
        (tracks[e["tid"]], e["name"]): tuple(e["args"].values()) for e in events if e["ph"] == "X"
    }
    assert spans == {
        ("linear", "linear"): (0, 9),
        ("linear: nodes", "layer 3 / q"): (2, 5),
        ("vector: nodes", "norm"): (3, 1),
    }
