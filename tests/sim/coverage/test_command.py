"""`python -m sim.coverage`: it records what is measured, and fails when that is less."""

import json

import pytest

from sim.coverage import __main__ as command, document, reasons, record
from sim.coverage.measure import Reached
from sim.coverage.reasons import Reason


FILE = "rtl/bus/skid.py"


@pytest.fixture
def recorded(monkeypatch, tmp_path):
    """A record in which all 4 bits of a component are reached."""
    path = tmp_path / "coverage.json"
    load, save = record.load, record.save
    monkeypatch.setattr(record, "load", lambda: load(path))
    monkeypatch.setattr(record, "save", lambda what: save(what, path))
    monkeypatch.setattr(reasons, "load", lambda: [])
    record.save(
        {
            "rtl": {
                "components": {
                    FILE: {
                        "bench": "skid",
                        "branches": [0, 0, 0],
                        "bits": [4, 0, 4],
                        "open": {"branches": [], "bits": {}},
                    }
                }
            }
        }
    )
    return path


def measured(monkeypatch, moved):
    monkeypatch.setattr(
        command,
        "benches",
        lambda units, jobs: [("skid", {FILE: Reached({}, {"held": (15, moved)})})],
    )


def test_recorded(recorded, monkeypatch):
    path = recorded
    measured(monkeypatch, 15)
    assert command.main(["rtl"]) == 0
    rtl = json.loads(path.read_text())["rtl"]
    assert rtl["components"][FILE]["bits"] == [4, 0, 4] and rtl["commit"]


def test_less(recorded, monkeypatch, capsys):
    path = recorded
    before = path.read_text()
    measured(monkeypatch, 7)
    assert command.main(["rtl"]) == 1
    assert capsys.readouterr().err == (
        f"{FILE}: 1 bits are neither reached nor explained: held [3]\n"
        f"{FILE}: 3 of 4 bits are reached, and were 4 of 4\n"
    )
    assert path.read_text() == before


def test_less_and_accepted(recorded, monkeypatch):
    path = recorded
    measured(monkeypatch, 7)
    assert command.main(["rtl", "--accept"]) == 0
    assert json.loads(path.read_text())["rtl"]["components"][FILE]["bits"] == [3, 0, 4]


def test_one_unit(recorded, monkeypatch, capsys):
    """Its component alone, and nothing is recorded."""
    path = recorded
    before = path.read_text()
    measured(monkeypatch, 7)
    assert command.main(["rtl", "--unit", "skid"]) == 1
    assert capsys.readouterr().out == (
        f"{FILE}: 0 of 0 branches reached, 0 explained, "
        "3 of 4 bits reached, 0 explained\n  held [3]\n"
    )
    assert path.read_text() == before


def test_stale_reason(recorded, monkeypatch, capsys):
    path = recorded
    monkeypatch.setattr(reasons, "load", lambda: [Reason(FILE, "why", signal="held", bits="3")])
    measured(monkeypatch, 7)
    assert command.main(["rtl", "--accept"]) == 0
    before = path.read_text()
    measured(monkeypatch, 15)
    assert command.main(["rtl"]) == 1 and path.read_text() == before
    assert capsys.readouterr().err == (
        f"{FILE}: nothing is explained by what reasons.toml says of held; remove it\n"
    )


def test_one_unit_accepted(recorded, monkeypatch):
    """It is recorded with its own commit, and all else stays."""
    measured(monkeypatch, 7)
    before = record.load()
    monkeypatch.setattr(record, "commit", lambda: "abcdef0")
    assert command.main(["rtl", "--unit", "skid", "--accept"]) == 0
    after = record.load()
    entry = after["rtl"]["components"].pop(FILE)
    assert entry["commit"] == "abcdef0" and entry["bench"] == "skid"
    before["rtl"]["components"].pop(FILE, None)
    assert after == before
    full = {"commit": "1234567", "components": {FILE: entry}}
    assert f"`{FILE}`: abcdef0." in "\n".join(document.PARTS["rtl"](full))


def test_unknown_unit(capsys):
    assert command.main(["rtl", "--unit", "nope"]) == 2
    assert capsys.readouterr().err.startswith("coverage: UNIT must be all or one of accumulate, ")
