# amaranth: UnusedElaboratable=no

import json

import pytest
from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.sim import Simulator

from boards.synthesis import text_of
from headrace.studies.small_boards import __main__ as small
from headrace.studies.small_boards.flows import DEVICES, Routed, Small, area, map_cells, route
from headrace.studies.small_boards.folded import Folded
from headrace.studies.small_boards.parts import PARTS, TIMES, WITHIN, smallest
from host.errors import UserError
from mapper.compile import compile_model
from mapper.read.find import load
from rtl.spec.config import Config


class Tiny(wiring.Component):
    """A registered product."""

    a: In(signed(8))
    b: In(signed(8))
    o: Out(signed(16))

    def elaborate(self, platform):
        m = Module()
        a, b = Signal(signed(8)), Signal(signed(8))
        m.d.sync += [a.eq(self.a), b.eq(self.b), self.o.eq(a * b)]
        return m


@pytest.mark.seconds(10)
@pytest.mark.parametrize("device", DEVICES)
def test_map(cache, device):
    found = map_cells(text_of(Tiny()), device)
    assert found.problem is None and found.bram == 0 and found.seconds > 0
    # The registers may be the multiplier's own.
    assert (
        found.dsp in (0.5, 1)
        and found.ff in (0, 32)
        or found.dsp == 0
        and found.ff == 32
        and found.lut > 50
    )


def test_counts():
    found = area(
        "up5k",
        {"SB_LUT4": 3, "SB_CARRY": 2, "SB_DFFESR": 1, "SB_RAM40_4K": 4, "SB_SPRAM256KA": 1},
        1.0,
    )
    assert (found.lut, found.ff, found.bram, found.spram, found.dsp) == (3, 1, 4, 1, 0)
    found = area(
        "gw2a",
        {"LUT4": 3, "ALU": 2, "RAM16SDP4": 1, "DFFRE": 5, "MULT9X9": 3, "IBUF": 9, "GND": 1},
        1.0,
    )
    assert (found.lut, found.ff, found.dsp) == (3 + 2 + 6, 5, 1.5)
    with pytest.raises(
        UserError,
        match="^up5k: cells of type 'SB_LUT9' cannot be counted; "
        "add it to headrace/studies/small_boards",
    ):
        area("up5k", {"SB_LUT9": 1}, 1.0)


def test_cannot_be_mapped(cache, fake):
    fake("YOSYS", "echo 'ERROR: no such memory'; exit 1")
    assert map_cells(text_of(Tiny()), "up5k").problem == "ERROR: no such memory"


REPORT = json.dumps(
    {
        "fmax": {"clk": {"achieved": 31.5}, "slow": {"achieved": 12.25}},
        "utilization": {"LUT4": {"used": 7, "available": 9}, "DSP": {"used": 0, "available": 2}},
    }
)
MAPPED = "echo '{\"design\": {\"num_cells_by_type\": {}}}' > stat.json; touch netlist.json"


@pytest.mark.parametrize(
    "nextpnr, pack, expected",
    [
        (f"echo '{REPORT}' > report.json", "printf 12345 > top.bit", dict(fmax=12.25, bitstream=5)),
        (
            f"echo '{REPORT}' > report.json",
            "echo 'ValueError: no such bel'; exit 1",
            dict(fmax=12.25, problem="ValueError: no such bel"),
        ),
        (
            "echo 'Info: packing'; echo 'ERROR: no room'; echo '0 warnings'; exit 1",
            "",
            dict(fmax=None, problem="no room"),
        ),
        ("exit 134", "", dict(fmax=None, problem="exit code 134, without a word")),
    ],
)
def test_route(cache, fake, nextpnr, pack, expected):
    for name, script in (
        ("YOSYS", MAPPED),
        ("NEXTPNR_HIMBAECHEL_GOWIN", nextpnr),
        ("GOWIN_PACK", pack),
    ):
        fake(name, script)
    routed = route(text_of(Tiny()), "gw2a")
    used = {"LUT4": [7, 9]} if expected["fmax"] else {}
    assert routed == Routed(seconds=routed.seconds, used=used, **expected)


def test_pins(cache, fake):
    fake("YOSYS", MAPPED)
    fake("NEXTPNR_HIMBAECHEL_GOWIN", "cat pins.cst; exit 1")
    fake("GOWIN_PACK", "")
    assert 'IO_PORT "o" IO_TYPE=LVCMOS33;' in route(text_of(Tiny()), "gw2a").problem
    assert 'IO_LOC "clk" H11;' in DEVICES["gw2a"].constraints


def test_tool_missing(cache, monkeypatch):
    monkeypatch.setenv("NEXTPNR_ICE40", "/nowhere/nextpnr")
    with pytest.raises(
        UserError,
        match=r"^synthesis needs /nowhere/nextpnr, which is not installed; run `make "
        r"install FOR=small`, or pip install 'headrace\[small,synth\]', or name a program in "
        "NEXTPNR_ICE40$",
    ):
        route(text_of(Tiny()), "up5k")


def test_folded():
    """Every input is reached, every output is seen."""
    dut = Folded(Tiny())
    assert {name for name, _, _ in dut.signature.flatten(dut)} == {("i",), ("o",)}
    seen = set()

    async def bench(ctx):
        for value in [1] * 40 + [0] * 40:
            ctx.set(dut.i, value)
            await ctx.tick()
            seen.add(ctx.get(dut.o))

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    assert seen == {0, 1}


@pytest.mark.seconds(5)
@pytest.mark.parametrize(
    "field, value", [("vector_words", 2048), ("act_groups", 16), ("program_words", 256)]
)
def test_smallest_is_the_smallest(field, value):
    config, model = smallest(), load("tiny")
    compile_model(model, config, 64)
    less = Config(**{**vars(config), field: value})
    with pytest.raises(UserError):
        compile_model(model, less, 64)


def test_parts_block():
    areas = {name: Small(lut=100, ff=10, dsp=0, bram=1) for name in PARTS}
    areas |= {("linear core", core): Small(lut=n) for n, core in enumerate(small.CORES)}
    lines = "\n".join(small.parts_block("up5k", areas))
    counted = len(PARTS) - len(WITHIN) + sum(times - 1 for times in TIMES.values())
    assert (
        f"| **sum** | **{100 * counted:,}** | **{10 * counted}** | **0** | **{counted}** |" in lines
    )
    assert f"| times too much | {100 * counted / 5280:.1f} |" in lines
    assert "| 5 queues | 500 | 50 | 0 | 5 |" in lines and "| systolic | 1 | 0 | 0 | 0 |" in lines


def test_whole_block():
    lines = list(
        small.whole_block(
            {"one": Small(lut=32682, ff=5, dsp=31.5, bram=7), "two": Small(problem="no")}
        )
    )
    assert lines[2:4] == ["| one | 32,682 | 5 | 31.5 | 7 |", "| two | no |  |  |  |"]
    assert lines[-1] == "| Gowin GW5AST-138 (Tang Mega 138K) | 138,240 | 138,240 | 298 | 340 |"


def test_routed_block():
    results = [
        (
            "up5k",
            "link",
            Routed(
                fmax=29.25,
                seconds=1,
                used={"ICESTORM_LC": [3182, 5280], "SB_IO": [4, 39], "MUX2_LUT5": [1, 2]},
                bitstream=104_090,
            ),
        ),
        ("gw2a", "link", Routed(fmax=None, seconds=1, problem="no room")),
        ("gw5a", "link", Routed(fmax=40.0, seconds=1, problem="no such bel")),
    ]
    assert list(small.routed_block(results))[2:] == [
        "| Lattice iCE40UP5K | link | 29.2 | 3,182 of 5,280 ICESTORM_LC | 102 KiB |",
        "| Gowin GW2A-18 (Tang Primer 20K) | link |  | no room |  |",
        "| Gowin GW5A-25 (Tang Primer 25K) | link | 40.0 |  | no such bel |",
    ]
