"""Bench of the harness itself: random initial state, and timeouts of hanging tests."""

from pathlib import Path

import cocotb
from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out
from cocotb.triggers import FallingEdge, Timer

from sim.harness.bench import cycles, start


WORDS, TABLE = 4, [3, 1, 4, 1]


class Store(wiring.Component):
    """Registers, a memory and a table, of which all but `count` keep what they have in a reset."""

    def __init__(self):
        super().__init__(
            {
                "write": In(1),
                "address": In(range(WORDS)),
                "data": In(32),
                "count": Out(32, init=7),
                "last": Out(32),
                "word": Out(32),
                "entry": Out(8),
            }
        )

    def elaborate(self, platform):
        m = Module()
        last = Signal(32, init=5, reset_less=True)
        m.d.sync += self.count.eq(self.count + 1)
        with m.If(self.write):
            m.d.sync += last.eq(self.data)
        m.submodules.memory = memory = Memory(shape=32, depth=WORDS, init=[])
        m.submodules.table = table = Memory(shape=8, depth=WORDS, init=TABLE)
        port, read = memory.write_port(), memory.read_port(domain="comb")
        entry = table.read_port(domain="comb")
        m.d.comb += [
            port.addr.eq(self.address),
            port.data.eq(self.data),
            port.en.eq(self.write),
            read.addr.eq(self.address),
            entry.addr.eq(self.address),
            self.last.eq(last),
            self.word.eq(read.data),
            self.entry.eq(entry.data),
        ]
        return m


CASES = {"store": Store}
BEGAN = "began.txt"  # in the build's folder: what the registers and the memory began with


@cocotb.test()
async def begins(dut):
    dut.address.value = 1
    await Timer(1, "ns")
    values = [int(port.value) for port in (dut.count, dut.last, dut.word)]
    if not Path(BEGAN).exists():
        Path(BEGAN).write_text(" ".join(map(str, values)))


@cocotb.test()
async def tables_stay(dut):
    await start(dut)
    await FallingEdge(dut.clk)
    assert int(dut.count.value) == 8, "a register with a reset"
    for n, value in enumerate(TABLE):
        dut.address.value = n
        await cycles(dut)
        assert int(dut.entry.value) == value


@cocotb.test()
async def hangs(dut):
    """Only if told to, by `+hang=`, and how."""
    await start(dut)
    how = cocotb.plusargs.get("hang")
    while how == "cycles":
        await cycles(dut)
    while how == "loop":
        pass
