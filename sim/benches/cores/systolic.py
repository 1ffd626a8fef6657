"""Bench of the systolic core."""

import cocotb
import numpy as np
from amaranth import signed
from amaranth.lib import data

from rtl.spec.config import GROUP, Config, get
from rtl.cores.core import CORE_WEIGHTS, SUM_BITS
from rtl.cores.systolic import SystolicCore
from rtl.spec.isa import WeightFormat

from ...harness.bench import Sink, Source, case, rng, start
from ...oracles.linear import PRODUCTS
from ..linear._matrix import ODD, generator


CONFIGS = {"small": get("small"), "odd": ODD,
           "plain": Config(name="plain", beat_bits=128, columns=2, lanes=4, formats=("U4", "S8"))}
CASES = {name: lambda config=config: SystolicCore(config) for name, config in CONFIGS.items()}


U4, S8, TERNARY = WeightFormat.U4, WeightFormat.S8, WeightFormat.TERNARY
# The least and the largest code of a format, twice in a byte where it has 4 bits.
EXTREMES = {U4: (0x00, 0xff), S8: (0x80, 0x7f), TERNARY: (0x88, 0x77)}


def steps(config, gen, count):
    """Operands and sums. The extremes come in all combinations of sign first."""
    weights, acts, sums = [], [], []
    formats = [fmt for fmt in EXTREMES if fmt.name in config.formats]
    edges = [(fmt, code, act) for fmt in formats for code in EXTREMES[fmt] for act in (-128, 127)]
    for n in range(count):
        fmt = formats[int(gen.integers(len(formats)))]
        raw = gen.integers(0, 256, (config.rows, 16), np.uint8)
        act = gen.integers(-128, 128, (config.columns, GROUP))
        if n < len(edges):
            fmt, raw[:], act[:] = edges[n]
        nibbles = np.concatenate([raw & 15, raw >> 4], 1).astype(int)
        cells = {U4: 2 * nibbles - 15, S8: raw.view(np.int8).astype(int),
                 TERNARY: (nibbles ^ 8) - 8}[fmt]
        weights.append({"codes": int.from_bytes(raw.tobytes(), "little"), "format": fmt.value})
        acts.append(act.tolist())
        sums.append(PRODUCTS.expect(cells, act[:, :cells.shape[1]]).tolist())
    return weights, acts, sums


@cocotb.test()
async def random_stalls(dut):
    config = CONFIGS[case()]
    vector = data.ArrayLayout(data.ArrayLayout(signed(8), GROUP), config.columns)
    product = data.ArrayLayout(data.ArrayLayout(signed(SUM_BITS), config.rows), config.columns)
    await start(dut)
    for gaps, stall in [((0, 0), 0), ((0.5, 0), 0), ((0, 0.5), 0.3), ((0.3, 0.3), 0.6)]:
        weights, acts, sums = steps(config, generator(rng(f"{gaps} {stall}")), 150)
        sink = Sink(dut, "sums", product, stall=stall)
        cocotb.start_soon(Source(dut, "weights", CORE_WEIGHTS(config), gap=gaps[0]).send_all(weights))
        cocotb.start_soon(Source(dut, "acts", vector, gap=gaps[1]).send_all(acts))
        await sink.expect_all(sums)
        await sink.expect_none()


@cocotb.test()
async def latency_and_throughput(dut):
    """Sums come `latency` cycles after their operands, one step per cycle."""
    config = CONFIGS[case()]
    weights, acts, sums = steps(config, generator(rng()), 20)
    vector = data.ArrayLayout(data.ArrayLayout(signed(8), GROUP), config.columns)
    await start(dut)
    cocotb.start_soon(Source(dut, "weights", CORE_WEIGHTS(config), gap=0).send_all(weights))
    cocotb.start_soon(Source(dut, "acts", vector, gap=0).send_all(acts))
    dut.sums__ready.value = 1
    seen = []
    for _ in range(SystolicCore(config).latency + len(sums) + 3):
        await cocotb.triggers.FallingEdge(dut.clk)
        seen.append(int(dut.sums__valid.value))
    assert seen == [0] * SystolicCore(config).latency + [1] * len(sums) + [0] * 3
