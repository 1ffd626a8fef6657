"""`python -m sim.coverage`: it records what is measured, and fails when that is less."""

import json
import multiprocessing
import os
from types import SimpleNamespace

import pytest

from sim.coverage import __main__ as command, document, measure, programs, python, reasons, record
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


@pytest.mark.skipif(
    multiprocessing.get_start_method() != "fork", reason="processes see only what is forked"
)
def test_benches(monkeypatch, tmp_path, capfd):
    """Benches are measured in processes of their own, each with the reasons, and what comes back is
    its own. If not, a component's numbers are another's, or simulations' output drowns what is
    less.
    """
    said = [Reason(FILE, "why", signal="held", bits="3")]

    def run_all(unit, reasons):
        os.write(1, f"{unit} simulates".encode())
        assert reasons == said
        return {f"rtl/{unit}.py": Reached({}, {"held": (15, len(unit))})}, [f"{unit}-case"]

    monkeypatch.setattr(reasons, "load", lambda: said)
    monkeypatch.setattr(measure, "run_all", run_all)
    monkeypatch.setattr(command, "ROOT", tmp_path)
    monkeypatch.setattr(command, "cases", lambda unit: range(len(unit)))
    found = list(command.benches(["skid", "queue"], 1))
    assert [(unit, *reached) for unit, reached in found] == [
        ("skid", "rtl/skid.py"),
        ("queue", "rtl/queue.py"),
    ]
    assert found[1][1]["rtl/queue.py"].bits == {"held": (15, 5)}
    out, err = capfd.readouterr()
    assert (out, err) == (
        "",
        "1 of 2: skid, of 4 cases skid-case\n2 of 2: queue, of 5 cases queue-case\n",
    )
    logs = [path.read_text() for path in (tmp_path / "build" / "coverage").iterdir()]
    assert "".join(logs) == "skid simulatesqueue simulates"


@pytest.mark.parametrize("missing, code", [([], 0), (["('pair', 'b', 'a')"], 1)])
def test_programs(recorded, monkeypatch, capsys, missing, code):
    """Random programs are those that are asked for; a bin that they no longer reach is named, and
    nothing recorded.
    """
    name = next(iter(programs.CLASSES))
    bins = {(name, n) for n in range(3)}
    asked = []

    def run(config, count):
        asked.append((config.name, count))
        return SimpleNamespace(reachable=bins, seen={*bins} - {(name, 2)}, missing=missing)

    monkeypatch.setattr(programs, "run", run)
    record.save({**record.load(), "programs": {"missing": []}})
    assert command.main(["programs", "-n", "17"]) == code
    assert asked == [("small", 17)]
    now = record.load()
    assert now["rtl"]["components"] and capsys.readouterr().err == "".join(
        f"{each}: no program reaches it\n" for each in missing
    )
    if code:
        assert now["programs"] == {"missing": []}
    else:
        assert now["programs"]["classes"][name] == [2, 3]
        assert now["programs"]["command"] == "make random CONFIG=small N=17"


def report(lines):
    summary = dict(num_statements=10, covered_lines=lines, covered_branches=0, num_branches=0)
    return {"files": {"host/a.py": {"summary": summary, "missing_lines": [3, 4][: 10 - lines]}}}


@pytest.fixture
def tests_reach(monkeypatch):
    """Says how many of ten lines tests reach; gives the calls that run them."""
    calls = []

    def reach(lines):
        monkeypatch.setattr(
            python, "run", lambda tests, jobs: calls.append((tests, jobs)) or report(lines)
        )
        return calls

    return reach


def test_python(recorded, tests_reach, capsys):
    """All tests are run and recorded; and then, if fewer lines are reached, it fails."""
    assert tests_reach(10) == []
    assert command.main(["python", "-j", "3"]) == 0
    before = record.load()
    assert before["python"]["files"] == {"host/a.py": [10, 10, 0, 0, ""]}
    assert before["rtl"]["components"]  # all else stays
    calls = tests_reach(8)
    assert command.main(["python", "-j", "3"]) == 1 and record.load() == before
    assert calls == [(python.TESTS, 3)] * 2
    assert capsys.readouterr().err == "host: 80.0% of the lines are reached, and were 100.0%\n"
    assert command.main(["python", "--accept"]) == 0
    assert record.load()["python"]["files"]["host/a.py"] == [8, 10, 0, 0, "3-4"]


def test_some_tests_of_python(recorded, tests_reach, capsys):
    """What they reach is printed; it is less than what all reach, which is no mistake of theirs."""
    tests_reach(10)
    assert command.main(["python"]) == 0
    before = record.load()
    calls = tests_reach(8)
    assert command.main(["python", "tests/host", "-j", "1"]) == 0 and record.load() == before
    assert calls[-1] == (("tests/host",), 1)
    assert capsys.readouterr().out == "host/a.py: 8 of 10 lines reached 3-4\n"


@pytest.mark.parametrize(
    "words, said",
    [
        (["programs", "--unit", "skid", "--accept"], "--unit: only rtl has any, not programs"),
        (["python", "--unit", "skid"], "--unit: only rtl has any, not python"),
        (["rtl", "tests/host"], "tests: only python has any, not rtl"),
        (["programs", "-n", "0"], "-n: must be 1 or more, not 0"),
        (["rtl", "-j", "0"], "--jobs: must be 1 or more, not 0"),
    ],
)
def test_options_of_another_part(recorded, capsys, words, said):
    """They are refused before anything is measured; the first used to end in a traceback after all
    programs had run.
    """
    assert command.main(words) == 2
    assert capsys.readouterr().err.startswith(f"coverage: {said}")
