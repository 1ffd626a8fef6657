"""Counts: read from Verilator's file, and merged over the cases of a bench."""

import pytest

from sim.coverage import measure
from sim.coverage.instrument import Branch, convert, declared
from sim.coverage.measure import Reached, read, run
from sim.coverage.reasons import Reason
from tests.sim.coverage.component import Small


FILE = "tests/sim/coverage/component.py"


def dat(line, name, edge, count):
    """A line of coverage.dat."""
    return (
        f"C '\x01f\x02/x/small.v\x01l\x02{line}\x01n\x028\x01t\x02toggle\x01page\x02v_toggle/small"
        f"\x01o\x02{name}:{edge}\x01h\x02small' {count}\n"
    )


def test_read(monkeypatch):
    monkeypatch.setattr(measure, "files", lambda unit: {FILE})
    small = convert(Small(), "small", {FILE})
    at = {
        getattr(point, "name", point): n for n, point in reversed(declared(small, {FILE}).items())
    }
    first = min((p for p in at if isinstance(p, Branch)), key=lambda p: (p.line, p.kind))
    found = read(
        "small",
        small,
        [
            "# SystemC::Coverage-3\n",
            dat(at["step"], "step[0]", "0->1", 5),
            dat(at["step"], "step[0]", "1->0", 4),
            dat(at["step"], "step[1]", "0->1", 1),
            dat(at["step"], "step[1]", "1->0", 0),
            dat(at["clear"], "clear", "0->1", 1),
            dat(at["clear"], "clear", "1->0", 1),
            dat(at[first], "reached___05F", "0->1", 1),
        ],
    )
    assert list(found) == [FILE]
    # The second bit has risen, and not fallen.
    assert found[FILE].bits == {"step": (3, 1), "clear": (1, 1), "total": (15, 0), "double": (7, 0)}
    assert [key for key, seen in found[FILE].branches.items() if seen] == [(first.line, first.kind)]
    assert len(found[FILE].branches) == 5


def test_add():
    """What one case reaches, is reached, of all that there is in either."""
    both = Reached({(1, "taken"): False, (2, "taken"): True}, {"a": (3, 1), "b": (1, 0)})
    both.add(Reached({(1, "taken"): True, (2, "taken"): False, (3, "else"): False}, {"a": (7, 2)}))
    assert both == Reached(
        {(1, "taken"): True, (2, "taken"): True, (3, "else"): False}, {"a": (7, 3), "b": (1, 0)}
    )


CASES = {"one": {"a": 3, "b": 1}, "same": {"a": 3}, "wide": {"a": 7}, "few": {"b": 1}}


@pytest.mark.parametrize(
    "reached, ran",
    [
        ({"one": {"a": 3, "b": 1}, "wide": {"a": 7}}, ["one", "wide"]),
        # What one case did not reach, the next may.
        ({"one": {"a": 2, "b": 1}, "same": {"a": 1}, "wide": {"a": 7}}, ["one", "same", "wide"]),
        ({"one": {"a": 3}, "wide": {"a": 4}, "few": {}}, ["one", "wide", "few"]),
    ],
)
def test_cases_that_add_nothing(monkeypatch, reached, ran):
    """Those are not run; but for what has a reason, all that they have was reached."""

    def found(case, moved):
        return {
            FILE: Reached(
                {}, {name: (mask, moved.get(name, 0)) for name, mask in CASES[case].items()}
            )
        }

    monkeypatch.setattr(measure, "cases", lambda unit: CASES)
    monkeypatch.setattr(measure, "convert", lambda unit, case: case)
    monkeypatch.setattr(measure, "read", lambda unit, text, counts: found(text, {}))
    monkeypatch.setattr(measure, "run", lambda unit, case, text: found(case, reached[case]))
    total, did = measure.run_all("x")
    assert did == ran and total[FILE].bits["a"][0] == 7
    said = [Reason(FILE, "why", signal="b"), Reason(FILE, "why", signal="a", bits="2")]
    assert measure.run_all("x", said)[1] == [case for case in ran if case not in ("wide", "few")]


@pytest.mark.seconds(5)
def test_run():
    """A real bench reaches all of its component: Verilator counts what is marked."""
    (reached,) = run("skid", "bit", measure.convert("skid", "bit")).values()
    assert reached.branches and all(reached.branches.values())
    assert reached.bits["i__payload"] == (1, 1)
    assert all(mask == moved for mask, moved in reached.bits.values())


def test_files():
    """Each file is one bench's: those that a bench answers for."""
    assert measure.files("queue") == {
        f"rtl/control/{name}.py" for name in ("queue", "store", "tokens")
    }
