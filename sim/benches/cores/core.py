"""Bench of every linear core that is registered, in sizes that all have."""

from dataclasses import replace

import cocotb

from rtl.cores import CORES
from rtl.spec.config import NATIVE, get

from ...harness.bench import case
from ._conformance import Steps


# Three columns are no power of two. Of all formats, and of the two that every core has.
SIZES = {
    "small": {},
    "odd": {"beat_bits": 256, "columns": 3},
    "plain": {"beat_bits": 256, "columns": 2, "formats": ("U4", "S8")},
}
CONFIGS = {
    f"{core}-{name}": replace(get("small"), name=name, core=core, **{"formats": ()} | values)
    for core in CORES
    for name, values in SIZES.items()
    if set(values.get("formats", ())) <= {*NATIVE[core]}
}
CASES = {name: lambda config=config: CORES[config.core](config) for name, config in CONFIGS.items()}


@cocotb.test()
async def random_stalls(dut):
    await Steps(dut, CASES[case()]()).random_stalls()


@cocotb.test()
async def extremes(dut):
    await Steps(dut, CASES[case()]()).extremes()


@cocotb.test()
async def latency_and_throughput(dut):
    await Steps(dut, CASES[case()]()).latency_and_throughput()


@cocotb.test()
async def fills_up_and_drains(dut):
    await Steps(dut, CASES[case()]()).fills_up_and_drains()
