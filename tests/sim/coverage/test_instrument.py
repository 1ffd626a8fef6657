"""Points of a component: its branches and the signals that have names, in its Verilog."""

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from sim.coverage import instrument
from sim.coverage.instrument import OFF, ON, Bits, Branch, convert, declared
from tests.sim.coverage import component
from tests.sim.coverage.component import Small


FILE = "tests/sim/coverage/component.py"
LINES = open(component.__file__).read().splitlines()


def line(text):
    return next(n for n, line in enumerate(LINES, 1) if text in line)


class Wrapped(wiring.Component):
    """What a bench wraps a component in."""

    total: Out(4)

    def elaborate(self, platform):
        m = Module()
        m.submodules.small = small = Small()
        m.d.comb += self.total.eq(small.total)
        return m


def points(made, *files):
    text = convert(made, "small", {FILE, *files})
    return text, declared(text, {FILE, *files})


def test_branches():
    """Each body is one; so is that no condition of an If holds. Reset is nobody's line."""
    branches = {(p.line, p.kind) for p in points(Small())[1].values() if isinstance(p, Branch)}
    assert branches == {
        (line("m.If(self.clear)"), "taken"),
        (line("m.If(self.clear)"), "else"),
        (line("m.Elif(self.step[0])"), "taken"),
        (line("m.Case(0, 1)"), "taken"),
        (line("m.Case(3)"), "taken"),
    }


def test_bits():
    """Ports and signals, without clock and reset and what has no name."""
    bits = {p for p in points(Small())[1].values() if isinstance(p, Bits)}
    assert bits == {
        Bits(FILE, "step", 2),
        Bits(FILE, "clear", 1),
        Bits(FILE, "total", 4),
        Bits(FILE, "double", 3),
    }


def test_counted_there_alone():
    """Verilator counts on the lines of points, and on no others."""
    text, found = points(Small())
    lines = text.splitlines()
    assert lines[0] == OFF
    for n, text in enumerate(lines, 1):
        assert (ON in text) == (n in found), text


def test_hierarchy():
    """What a component brings with it is its own; of others, what is theirs is not counted."""
    text, found = points(Wrapped())
    bits = {(p.name, p.width) for p in found.values() if isinstance(p, Bits)}
    assert bits == {("total", 4), ("step", 2), ("clear", 1), ("double", 3)}
    assert sum(isinstance(p, Branch) for p in found.values()) == 5
    assert not declared(convert(Wrapped(), "small", set()), set())


def test_many_ports():
    """Yosys breaks a long list of ports into lines."""

    class Many(wiring.Component):
        def __init__(self):
            super().__init__({f"o{n}": Out(1) for n in range(100)})

        def elaborate(self, platform):
            return Module()

    found = points(Many(), "tests/sim/coverage/test_instrument.py")[1]
    assert {p.name for p in found.values()} == {f"o{n}" for n in range(100)}


def test_names_with_dollars():
    """What has a name twice is escaped in Verilog, and spaced in another way; so is a keyword."""

    class Twice(wiring.Component):
        i: In(2)
        program: Out(1)

        def elaborate(self, platform):
            m = Module()
            for n in range(2):
                stage = Signal(name="stage")
                with m.If(self.i[n]):
                    m.d.sync += stage.eq(~stage)
            with m.Switch(self.i):
                with m.Case(1):
                    m.d.comb += self.program.eq(1)
            return m

    text, found = points(Twice(), "tests/sim/coverage/test_instrument.py")
    assert {p.name for p in found.values() if isinstance(p, Bits)} == {
        "i",
        "program",
        "stage",
        "stage #2",
    }
    lines = [text.splitlines()[n - 1] for n in found]
    assert sum("\\program " in line for line in lines) == 2  # a port, and its register
    assert sum("reached_" in line for line in lines) == 5
    assert {p.file for p in found.values()} == {"tests/sim/coverage/test_instrument.py"}


def test_names_do_not_depend_on_numbers():
    """Amaranth numbers what has the same name."""

    def named(*names):
        signals = {name: ([n], ("rtl/x.py", 7), 1) for n, name in enumerate(names)}
        return [point.name for _, point in instrument._named(signals, ("rtl/x.py", 1))]

    assert named("stage", "stage$4", "stage$9") == ["stage", "stage #2", "stage #3"]
    assert named("$signal$3") == ["line 7"]
    assert named("i", "i.a", "i.b", "i.b[0]") == ["i.a", "i.b[0]"]
