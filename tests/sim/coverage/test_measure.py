"""Counts: read from Verilator's file, and merged over cases and benches."""

import pytest

from sim.coverage import instrument, measure
from sim.coverage.instrument import Branch, convert, declared
from sim.coverage.measure import Bench, Reached, components, read, run
from sim.coverage.reasons import Reason
from tests.sim.coverage.component import Small


FILE = "tests/sim/coverage/component.py"


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(instrument, "COUNTED", FILE)
    return convert(Small(), "small")


def dat(line, name, edge, count):
    """A line of coverage.dat."""
    return (f"C '\x01f\x02/x/small.v\x01l\x02{line}\x01n\x028\x01t\x02toggle\x01page\x02v_toggle/small"
            f"\x01o\x02{name}:{edge}\x01h\x02small' {count}\n")


def test_read(small):
    at = {getattr(point, "name", point): n for n, point in reversed(declared(small).items())}
    first = min((p for p in at if isinstance(p, Branch)), key=lambda p: (p.line, p.kind))
    bench = read("small", small, ["# SystemC::Coverage-3\n",
                                  dat(at["step"], "step[0]", "0->1", 5), dat(at["step"], "step[0]", "1->0", 4),
                                  dat(at["step"], "step[1]", "0->1", 1), dat(at["step"], "step[1]", "1->0", 0),
                                  dat(at["clear"], "clear", "0->1", 1), dat(at["clear"], "clear", "1->0", 1),
                                  dat(at[first], "reached___05F", "0->1", 1)])
    assert bench.unit == "small" and bench.subjects == {FILE}
    reached = bench.files[FILE]
    # The second bit has risen, and not fallen.
    assert reached.bits == {"step": (3, 1), "clear": (1, 1), "total": (15, 0), "double": (7, 0)}
    assert [key for key, seen in reached.branches.items() if seen] == [(first.line, first.kind)]
    assert len(reached.branches) == 5


def bench(unit, subjects, **files):
    return Bench(unit, set(subjects), {f"rtl/{name}.py": Reached({(1, "taken"): seen}, {"a": (3, moved)})
                                       for name, (seen, moved) in files.items()})


def test_components():
    """Own benches count alone; of what has none, all count. What one case reaches, is reached."""
    merged = components([bench("add", {"rtl/add.py"}, add=(False, 1)),
                         bench("add", {"rtl/add.py"}, add=(True, 2)),
                         bench("mul", {"rtl/mul.py"}, mul=(False, 0), add=(True, 3), shift=(False, 1)),
                         bench("top", {"rtl/top.py"}, mul=(True, 3), top=(False, 0), shift=(True, 0))])
    found = {file: (units, r.branches[1, "taken"], r.bits["a"]) for file, (units, r) in merged.items()}
    assert found == {"rtl/add.py": ({"add"}, True, (3, 3)),
                     "rtl/mul.py": ({"mul"}, False, (3, 0)),
                     "rtl/shift.py": ({"mul", "top"}, True, (3, 1)),
                     "rtl/top.py": ({"top"}, False, (3, 0))}


CASES = {"one": {"a": 3, "b": 1}, "same": {"a": 3}, "wide": {"a": 7}, "few": {"b": 1}}


@pytest.mark.parametrize("reached, ran", [
    ({"one": {"a": 3, "b": 1}, "wide": {"a": 7}}, ["one", "wide"]),
    # What one case did not reach, the next may.
    ({"one": {"a": 2, "b": 1}, "same": {"a": 1}, "wide": {"a": 7}}, ["one", "same", "wide"]),
    ({"one": {"a": 3}, "wide": {"a": 4}, "few": {}}, ["one", "wide", "few"]),
])
def test_cases_that_add_nothing(monkeypatch, reached, ran):
    """Those are not run; but for what has a reason, all that they have was reached."""
    def bench(case, moved):
        return Bench("x", {FILE}, {FILE: Reached({}, {name: (mask, moved.get(name, 0))
                                                      for name, mask in CASES[case].items()})})

    monkeypatch.setattr(measure, "cases", lambda unit: CASES)
    monkeypatch.setattr(measure, "component", lambda unit, case: case)
    monkeypatch.setattr(instrument, "convert", lambda made, unit: made)
    monkeypatch.setattr(measure, "read", lambda unit, text, counts: bench(text, {}))
    monkeypatch.setattr(measure, "run", lambda unit, case, text: bench(case, reached[case]))
    assert [case for case, found in measure.run_all("x") if found] == ran
    assert [case for case, _ in measure.run_all("x")] == list(CASES)
    said = [Reason(FILE, "why", signal="b"), Reason(FILE, "why", signal="a", bits="2")]
    known = [case for case in ran if case not in ("wide", "few")]
    assert [case for case, found in measure.run_all("x", said) if found] == known


def test_run():
    """A real bench reaches all of its component: Verilator counts what is marked."""
    reached = run("skid", "bit").files["rtl/bus/skid.py"]
    assert reached.branches and all(reached.branches.values())
    assert reached.bits["i__payload"] == (1, 1) and all(mask == moved for mask, moved in reached.bits.values())
