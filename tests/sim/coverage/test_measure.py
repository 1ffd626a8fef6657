"""Counts: read from Verilator's file, and merged over cases and benches."""

import pytest

from sim.coverage import instrument
from sim.coverage.instrument import Branch, convert, declared
from sim.coverage.measure import Bench, Reached, components, read, run
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


def test_run():
    """A real bench reaches all of its component: Verilator counts what is marked."""
    reached = run("skid", "bit").files["rtl/bus/skid.py"]
    assert reached.branches and all(reached.branches.values())
    assert reached.bits["i__payload"] == (1, 1) and all(mask == moved for mask, moved in reached.bits.values())
