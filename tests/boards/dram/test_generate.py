"""LiteDRAM's controllers: what is generated, and what is refused."""

import re
from dataclasses import replace

import pytest
from amaranth.back import rtlil
from amaranth.hdl import IOPort

from boards.dram import generate as generator
from boards.dram.board_memory import BoardMemory
from boards.dram.controller import DramController
from boards.dram.generate import generate
from boards.dram.pads import PADS
from boards.dram.registers import REGISTERS
from host.errors import UserError
from rtl.spec import config as configs


SDR = BoardMemory(part="IS42S16160", device="LFE5U-85F-6BG381C", clock_mhz=80.0)
DDR3 = BoardMemory(part="MT41K64M16", device="LFE5U-85F-6BG381C", clock_mhz=80.0, input_mhz=48.0)
BOTH = pytest.mark.parametrize("dram", [SDR, DDR3], ids=["sdr", "ddr3"])
WIDTHS = {"a": 13, "dm": 2, "dq": 16, "dqs_p": 2}


def pads(dram):
    banks = {"ba": dram.chip.bank_bits}
    return {name: IOPort({**WIDTHS, **banks}.get(name, 1), name=name) for name in PADS[dram.kind]}


@pytest.fixture
def fresh(tmp_path, monkeypatch):
    """Nothing has been generated yet."""
    monkeypatch.setattr(generator, "CACHE", tmp_path / "dram")
    return tmp_path / "dram"


@pytest.mark.seconds(1)
@BOTH
def test_generate(dram, fresh):
    """The generator's registers, latency and modes are those that the host knows; both ends drive
    the data lines.
    """
    text = generate(dram, data_bits=128, id_width=4)
    assert len(re.findall(r"inout +wire +\[15:0\] \w+_dq,", text)) == 1
    assert not re.search(r"input +wire .*_dq(s_p)?,", text)
    assert len(list(fresh.iterdir())) == 1
    assert generate(dram, data_bits=128, id_width=4) == text


@pytest.mark.seconds(1)
@BOTH
def test_ports(dram):
    """The component fits the generated module: each of its ports is there, in the same
    direction.
    """
    used = pads(dram)
    component = DramController(configs.get("small"), dram, used, addr_width=32)
    text = rtlil.convert(
        component,
        name="top",
        ports=[*(getattr(component, name) for name in component.signature.members), *used.values()],
    )
    cell = re.search(r"cell \\litedram_core .*?\n  end", text, re.DOTALL)[0]
    connected = set(re.findall(r"connect \\(\w+) ", cell))
    module = re.search(r"module litedram_core \((.*?)\);", component.verilog(), re.DOTALL)[1]
    declared = {
        name: way
        for way, name in re.findall(r"(input|output|inout) +wire +(?:\[[^]]*\] +)?(\w+)", module)
    }
    assert connected <= declared.keys()
    # What is left away is what nobody needs.
    assert declared.keys() - connected <= {
        "init_error",
        "pll_locked",
        "user_clk",
        "user_rst",
        "ddram_clk_n",
        "ddram_dqs_n",
    }
    # The clock of an SDR memory's controller is that of the design.
    assert {"user_clk", "user_rst"} <= connected or dram.kind == "sdr"


@pytest.mark.seconds(2)
@pytest.mark.parametrize("data_bits", [16, 32, 64, 128])
@BOTH
def test_widths(dram, data_bits):
    """Ports as wide as what the memory brings in a cycle, or wider, or narrower."""
    text = generate(dram, data_bits=data_bits, id_width=4)
    ports = dict(
        (name, int(bits) + 1)
        for bits, name in re.findall(r"\[ *(\d+):0\] user_port_axi_(rdata|wdata|wstrb)\b", text)
    )
    assert ports == {"rdata": data_bits, "wdata": data_bits, "wstrb": data_bits // 8}


@pytest.mark.seconds(1)
@BOTH
def test_always_the_same(dram, fresh, monkeypatch):
    """No date, and no order that changes: bitstreams are not built again for that."""
    first = generate(dram, data_bits=128, id_width=4)
    monkeypatch.setattr(generator, "CACHE", fresh / "other")
    assert generate(dram, data_bits=128, id_width=4) == first
    assert first.count("//") == 2 and "/*" not in first  # in the line that says where it comes from


@pytest.mark.parametrize("clock_mhz", [25.0, 33.0, 80.0])
def test_refreshes_in_time(clock_mhz):
    """8192 of them in 64 ms, and not many more."""
    text = generate(replace(SDR, clock_mhz=clock_mhz), data_bits=128, id_width=4)
    cycles = int(re.search(r"litedramcore_refreshtimer_count = \d+'d(\d+);", text)[1]) + 2
    assert 0.99 * 64e3 < 8192 * cycles / clock_mhz <= 64e3


def test_registers_have_moved(fresh, monkeypatch):
    monkeypatch.setitem(REGISTERS["sdr"], "sdram_dfii_control", (511, 1))
    with pytest.raises(
        UserError, match="are not where boards/dram/registers.py has them: sdram_dfii_control$"
    ):
        generate(SDR, data_bits=128, id_width=4)
    assert not list(fresh.iterdir())


def test_other_modes(fresh, monkeypatch):
    monkeypatch.setattr(generator, "MODE_REGISTERS", [(0, 0)])
    with pytest.raises(
        UserError, match="wants the mode registers .*, boards/dram/initialise.py has"
    ):
        generate(DDR3, data_bits=128, id_width=4)


def test_other_latency(fresh, monkeypatch):
    monkeypatch.setattr(BoardMemory, "cas_latency", 3)
    with pytest.raises(UserError, match="CAS latency is 2, that of boards/dram/board_memory.py 3"):
        generate(SDR, data_bits=128, id_width=4)


def test_generator_fails(fresh):
    with pytest.raises(UserError, match="^litedram_gen failed with exit code 1: .*"):
        generate(SDR, data_bits=100, id_width=4)
    assert not list(fresh.iterdir())


def test_not_installed(fresh, monkeypatch):
    monkeypatch.setitem(generator.VERSIONS, "litedram", "1.0")
    with pytest.raises(
        UserError,
        match=r"^boards' memories need litedram 1.0, which is installed as 2024.12; run "
        r"`make install FOR=boards`, or pip install 'headrace\[boards,synth\]'$",
    ):
        generate(SDR, data_bits=128, id_width=4)
    monkeypatch.setattr(generator, "VERSIONS", {"no-such-thing": "1.0"})
    with pytest.raises(UserError, match="need no-such-thing 1.0, which is not installed; run"):
        generate(SDR, data_bits=128, id_width=4)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"part": "IS42"}, "^Part must be one of IS42S16160, MT41K64M16, MT41K256M16, not 'IS42'$"),
        ({"clock_mhz": 0.0}, "^Clocks must be positive, not 0.0 and 25.0 MHz$"),
    ],
)
def test_dram_wrong(change, message):
    with pytest.raises(ValueError, match=message):
        replace(SDR, **change)


def test_sizes():
    assert (SDR.chip.bytes, SDR.units, SDR.peak) == (32 << 20, 1 << 19, 160e6)
    assert (DDR3.chip.bytes, DDR3.peak) == (128 << 20, 640e6)
    assert replace(DDR3, part="MT41K256M16").chip.bytes == 512 << 20
