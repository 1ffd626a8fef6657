"""Entries of components with their reasons, and what is worse than they were."""

import re
from fnmatch import fnmatch

import pytest

from host.errors import UserError
from sim.coverage import document, reasons, record, summary
from sim.coverage.measure import Reached
from sim.coverage.reasons import Reason, load


ARBITER = "rtl/bus/arbiter.py"
LINES = (record.ROOT / ARBITER).read_text().splitlines()
BRANCHES = [n for n, line in enumerate(LINES, 1) if "with m." in line]


def components(missing=0b1100_0001, seen=(True, False)):
    return {
        ARBITER: Reached(
            {(line, "taken"): reached for line, reached in zip(BRANCHES, seen)},
            {"held.size[0]": (0xFF, 0xFF & ~missing), "valid": (1, 1)},
        )
    }


def test_open():
    (entry,) = summary.entries("arbiter", components(), []).values()
    assert entry == {
        "bench": "arbiter",
        "branches": [1, 0, 2],
        "bits": [6, 0, 9],
        "open": {"branches": [f"{BRANCHES[1]} taken"], "bits": {"held.size[0]": "7:6 0"}},
    }


def test_explained():
    text = LINES[BRANCHES[1] - 1].strip()
    said = [
        Reason("rtl/*.py", "why", branch=text),
        Reason(ARBITER, "why", signal="*.size[0]", bits="7:6"),
        Reason(ARBITER, "why", signal="held.size[0]", bits="0"),
        Reason("rtl/top.py", "why", signal="*"),
        Reason(ARBITER, "why", branch=text, kind="else"),
        Reason(ARBITER, "why", signal="size[0]"),
    ]
    (entry,) = summary.entries("arbiter", components(), said).values()
    assert entry["branches"] == [1, 1, 2] and entry["bits"] == [6, 3, 9]
    assert entry["open"] == {"branches": [], "bits": {}}
    assert [reason.used for reason in said] == [1, 2, 1, 0, 0, 0]


def test_several_bits_and_signals(tmp_path):
    """An entry with a list of signals is a reason for each: one that explains nothing shows."""
    path = tmp_path / "reasons.toml"
    path.write_text(f"""[[reason]]
component = "{ARBITER}"
signal = ["held.*", "stale"]
bits = "7:6 0"
why = "why"
""")
    said = load(path)
    (entry,) = summary.entries("arbiter", components(0b1101_0001), said).values()
    assert entry["bits"] == [5, 3, 9] and entry["open"]["bits"] == {"held.size[0]": "4"}
    assert [(reason.signal, reason.used) for reason in said] == [("held.*", 3), ("stale", 0)]


def test_nothing_is_worse():
    before = summary.entries("arbiter", components(), [])
    assert not list(summary.worse(before, before))
    assert not list(
        summary.worse(before, summary.entries("arbiter", components(0, (True, True)), []))
    )
    # All is reached of what has no record yet.
    assert not list(summary.worse({}, summary.entries("arbiter", components(0, (True, True)), [])))


@pytest.mark.parametrize(
    "before, now, said",
    [
        (components(0), components(), "2 of 2"),
        (components(1), components(3), "held.size[0] [1:0]"),
        (components(seen=(True, True)), components(), f"{BRANCHES[1]} taken"),
        ({}, components(1, (True, True)), "held.size[0] [0]"),
    ],
)
def test_worse(before, now, said):
    lines = list(
        summary.worse(summary.entries("arbiter", before, []), summary.entries("arbiter", now, []))
    )
    assert lines and all(line.startswith(f"{ARBITER}: ") for line in lines)
    assert said in "\n".join(lines) or "are neither reached nor explained" in lines[0]


def test_less_reached_though_all_is_explained():
    """A reason does not hide that a bench has become weaker."""
    said = [Reason(ARBITER, "why", signal="*")]
    lines = list(
        summary.worse(
            summary.entries("arbiter", components(0), said),
            summary.entries("arbiter", components(1), said),
        )
    )
    assert lines == [f"{ARBITER}: 8 of 9 bits are reached, and were 9 of 9"]


def test_saved(tmp_path):
    path = tmp_path / "coverage.json"
    assert record.load(path) == {}
    entries = summary.entries("arbiter", components(), [])
    record.save({"rtl": entries}, path)
    assert record.load(path) == {"rtl": entries}


def test_page(monkeypatch):
    entries = summary.entries(
        "arbiter", components(), [Reason(ARBITER, "why", signal="*", bits="7")]
    )
    monkeypatch.setattr(
        record, "load", lambda: {"rtl": {"commit": "1234567", "components": entries}}
    )
    text = "\n".join(document.markdown())
    assert "Commit 1234567." in text
    assert (
        f"| `{ARBITER}` | arbiter | 1 of 2 | 50.0 % |  | **1** | 6 of 9 | 66.6 % | 1 | **2** |"
        in text
    )


@pytest.mark.parametrize(
    "text, said",
    [
        ("[[reason]]\ncomponent = 'x'\nwhy = 'y'\n", "must have a branch or a signal"),
        (
            "[[reason]]\ncomponent = 'x'\nwhy = 'y'\nbranch = 'a'\nsignal = 'b'\n",
            "must have a branch or a signal",
        ),
        ("[[reason]]\ncomponent = 'x'\nsignal = 'y'\n", "'why'"),
        ("[[reason]]\ncomponent = 'x'\nwhy = 'y'\nsignals = 'b'\n", "'signals'"),
        ("[[reason", ""),
    ],
)
def test_reasons_that_are_none(tmp_path, text, said):
    path = tmp_path / "reasons.toml"
    path.write_text(text)
    with pytest.raises(UserError) as error:
        load(path)
    assert str(error.value).startswith("reasons.toml: ") and said in str(error.value)


def test_reasons_explain_something():
    """A component's reason is of one that was measured, and a test that it names exists."""
    files = record.load()["rtl"]["components"]
    for reason in reasons.load():
        assert any(fnmatch(file, reason.component) for file in files), reason
        for path, test in re.findall(r"(tests/[\w/]+\.py)(?:::(\w+))?", reason.why):
            assert f"def {test}" in (record.ROOT / path).read_text(), reason
