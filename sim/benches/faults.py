"""Simultaneous faults at the top level: priority, and the instruction that is named."""

from itertools import product
from types import SimpleNamespace

import cocotb
from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In
from cocotbext.axi import AxiLiteBus, AxiLiteMaster

from rtl.bus.axi import AXI4Lite
from rtl.control.control import Control
from rtl.spec.config import get
from rtl.spec.csr import REGISTER_ADDRESS_BITS, REGISTERS, FaultCode
from rtl.spec.isa import Unit
from rtl.spec.limits import PC_BITS
from rtl.top import KV, LOAD, WEIGHTS, Accelerator
from sim.harness.bench import cycles, rng, start


SOURCES = "sequencer", "reader", "writer", "linear"  # of simultaneous faults the first counts


class Reports(wiring.Component):
    """Control, and the top's wiring of what reports faults to it."""

    def __init__(self):
        super().__init__(
            {
                "axi": In(AXI4Lite(REGISTER_ADDRESS_BITS)),
                "busy": In(1),
                "client": In(2),
                "sequencer_pc": In(PC_BITS),
                **{f"{unit.name.lower()}_pc": In(PC_BITS) for unit in Unit},
                **{
                    f"{source}_{name}": In(width)
                    for source in SOURCES
                    for name, width in (("fault", 1), ("code", 8), ("info", 32))
                },
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.control = control = Control(get("small"), len(SOURCES))
        wiring.connect(m, wiring.flipped(self.axi), control.axi)
        m.d.comb += [control.run_busy.eq(self.busy), control.memory_idle.eq(1)]

        def unit(source, **more):
            return SimpleNamespace(
                **{
                    name: getattr(self, f"{source}_{name.removeprefix('fault_')}")
                    for name in ("fault", "fault_code", "fault_info")
                },
                **more,
            )

        Accelerator.report_faults(
            None,
            m,
            control,
            unit("sequencer", fault_pc=self.sequencer_pc),
            unit("reader", fault_client=self.client),
            unit("writer"),
            unit("linear"),
            {unit: SimpleNamespace(pc=getattr(self, f"{unit.name.lower()}_pc")) for unit in Unit},
        )
        return m


CASES = {"only": Reports}


class Host:
    def __init__(self, dut):
        self.dut, self.random = dut, rng("faults")
        self.registers = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "axi_"), dut.clk, dut.rst)
        dut.busy.value = 1

    def control(self, value):
        return self.registers.write_dword(REGISTERS["CONTROL"].address, value)

    async def reported(self):
        return [
            await self.registers.read_dword(REGISTERS[f"FAULT_{name}"].address)
            for name in ("CODE", "PC", "INFO")
        ]

    def raise_(self, source):
        """Raise a fault, which stays; returns what is to be reported of it."""
        code, info, client = (
            self.random.randrange(1, 256),
            self.random.getrandbits(32),
            self.random.choice([WEIGHTS, KV, LOAD]),
        )
        for name, value in (("code", code), ("info", info), ("fault", 1)):
            getattr(self.dut, f"{source}_{name}").value = value
        if source == "reader":
            self.dut.client.value = client
        unit = {
            "sequencer": "sequencer",
            "writer": "attention",
            "linear": "linear",
            "reader": {WEIGHTS: "stream", KV: "attention", LOAD: "load"}[client],
        }[source]
        if source == "linear":
            code = FaultCode.DESCRIPTOR  # the only one that it has
        return [code, self.pcs[unit], info]

    def clear(self):
        self.pcs = {
            name: self.random.getrandbits(PC_BITS)
            for name in ("sequencer", *(unit.name.lower() for unit in Unit))
        }
        for name, pc in self.pcs.items():
            getattr(self.dut, f"{name}_pc").value = pc
        for source in SOURCES:
            getattr(self.dut, f"{source}_fault").value = 0


@cocotb.test()
@cocotb.parametrize(later=[0, 1, 2])
async def pairs(dut, later):
    """Each pair of sources, in the same cycle or one after the other."""
    await start(dut)
    host = Host(dut)
    for first, second in product(SOURCES, repeat=2):
        host.clear()
        await host.control(1)
        await cycles(dut, 10)
        want = {first: host.raise_(first)}
        await cycles(dut, later)
        if second != first:
            want[second] = host.raise_(second)
        await cycles(dut, 10)
        counts = min(want, key=SOURCES.index) if later == 0 else first
        assert await host.reported() == want[counts], f"{first}, then {second}"
        host.clear()
        await host.control(2)
        await cycles(dut, 20)
