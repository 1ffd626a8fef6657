"""Bench of the sums of the fifth step's elements."""

import cocotb
import numpy as np
from cocotb.triggers import FallingEdge

from rtl.linear.fifths import PART, FifthSums
from rtl.spec.config import get

from ...harness.bench import case, cycles, get_port, rng, start
from ...oracles.linear import PRODUCTS
from ..cores._steps import joined
from ._matrix import ODD, generator


CASES = {
    "small": lambda: FifthSums(get("small"), 2),
    "odd": lambda: FifthSums(ODD, 3),
}


@cocotb.test()
async def a_part_per_cycle(dut):
    """Parts follow each other, all extremes among them; their sums come `LATENCY` cycles later."""
    unit, gen = CASES[case()](), generator(rng())
    shape = unit.config.columns, PART
    parts = []
    for n in range(200):
        trits = gen.integers(-1, 2, (unit.rows, PART))
        acts = gen.integers(-127, 128, shape)
        if n % 3 == 0:
            trits[:] = trits[:, :1]
            acts = gen.choice([-128, 127], shape if n % 2 else (1, 1)) * np.ones(shape, int)
        parts.append((trits, acts))
    await start(dut)
    sums = []
    for n in range(len(parts) + unit.LATENCY):
        if n < len(parts):
            trits, acts = parts[n]
            planes = joined(np.stack([trits >= 0, trits > 0], 1))
            get_port(dut, "trits").value = planes
            get_port(dut, "acts").value = joined(acts[..., None] >> np.arange(8) & 1)
        await FallingEdge(dut.clk)
        sums.append(int(get_port(dut, "sums").value))
        await cycles(dut)
    for n, (trits, acts) in enumerate(parts):
        want = PRODUCTS.expect(trits, acts)
        got = sums[n + unit.LATENCY]
        want = joined(want[..., None] >> np.arange(12) & 1)
        assert got == want, f"part {n} must be {want:#x}, not {got:#x}"
