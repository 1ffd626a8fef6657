"""Bench of the LUT tensor core."""

from itertools import product

import cocotb
import numpy as np
from amaranth import signed
from amaranth.lib import data

from rtl.spec.config import GROUP, Config, get
from rtl.cores.core import CORE_WEIGHTS, SUM_BITS
from rtl.cores.lut import LutCore
from rtl.cores.tabled import TabledCore
from rtl.cores.tables import TABLES
from rtl.spec.isa import WeightFormat

from ...harness.bench import Sink, Source, case, rng, start
from ...oracles.linear import PRODUCTS
from ..linear._matrix import generator, tables


# Three columns are no power of two; with four lanes 16 units share tables.
LARGE = Config(name="large", beat_bits=512, columns=3, lanes=8, core="lut")
FEW = Config(name="few", beat_bits=256, columns=2, lanes=8, core="lut", formats=("S8", "TERNARY"))
CORES = {
    "small": lambda: LutCore(get("small-lut")),
    "large": lambda: LutCore(LARGE),
    "few": lambda: LutCore(FEW),
    "four": lambda: LutCore(get("small-lut"), inputs=4),
    "u3": lambda: LutCore(FEW, formats=("U3",)),
    "tabled": lambda: TabledCore(LutCore(FEW)),
    "tabled_four": lambda: TabledCore(LutCore(get("small-lut"), inputs=4)),
}
CASES = CORES

# Per format: rows per lane, elements, least and greatest integer weight, and the step between two.
SHAPES = {
    WeightFormat.U4: (1, 32, -15, 15, 2),
    WeightFormat.S8: (1, 16, -128, 127, 1),
    WeightFormat.U1: (4, 32, -1, 1, 2),
    WeightFormat.U2: (2, 32, -3, 3, 2),
    WeightFormat.U3: (1, 32, -7, 7, 2),
    WeightFormat.TERNARY: (2, 32, -1, 1, 1),
}


def pack(fmt, weights, gen):
    """Codes of a step, from its integer weights (rows, elements)."""
    low, step = SHAPES[fmt][2], SHAPES[fmt][4]
    if fmt == WeightFormat.S8:
        return int.from_bytes(weights.astype(np.int8).tobytes(), "little")
    codes = ((weights - low) // step).astype(np.uint8)
    if fmt == WeightFormat.U4:
        return int.from_bytes((codes[:, :16] | codes[:, 16:] << 4).tobytes(), "little")
    if fmt == WeightFormat.TERNARY:
        planes = [codes >= 1, codes >= 2]
    else:
        planes = [codes >> p & 1 for p in range({WeightFormat.U1: 1, WeightFormat.U2: 2}.get(fmt, 3))]
    if fmt == WeightFormat.U3:  # the last word of a lane belongs to another step
        planes.append(gen.integers(0, 2, codes.shape, np.uint8))
    planes = np.packbits(np.stack(planes, 1).astype(np.uint8), axis=-1, bitorder="little")
    return int.from_bytes(planes.tobytes(), "little")


def extremes(fmt, shape, which):
    """Weights at the ends of the range, in one of four arrangements."""
    _, _, low, high, _ = SHAPES[fmt]
    weights = np.full(shape, [low, high, low, high][which])
    if which >= 2:
        weights[:, which % 2::2] = [high, low][which % 2]
    return weights


def steps(core, gen, count):
    """Operands and sums. The extremes come in all combinations first."""
    weights, acts, sums = [], [], []
    formats = sorted(core.native, key=lambda f: f.value)
    edges = list(product(range(4), range(4), formats))
    for n in range(len(edges) + count):
        fmt = edges[n][2] if n < len(edges) else formats[gen.integers(len(formats))]
        rows, elements, low, high, step = SHAPES[fmt]
        shape = rows * core.config.rows, elements
        weight = low + step * gen.integers(0, (high - low) // step + 1, shape)
        act = gen.integers(-128, 128, (core.config.columns, GROUP))
        if n < len(edges):
            which, what, _ = edges[n]
            weight = extremes(fmt, shape, which)
            act[:] = [-128, 127, -128, 127][what]
            if what >= 2:
                act[:, :16:2] = act[:, 17::2] = [127, -128][what % 2]
        weights.append({"codes": pack(fmt, weight, gen), "format": fmt.value})
        if core.inputs > 1:  # whoever builds the tables gives those of half a group twice
            acts.append(tables(act if elements == GROUP else np.tile(act[:, :16], 2), core.inputs).tolist())
        else:
            acts.append(act.tolist())
        sums.append(PRODUCTS.expect(weight, act[:, :elements]).tolist())
    return weights, acts, sums


async def expect(sink, sums):
    """Receive sums, and compare the rows that the step has."""
    for n, expected in enumerate(sums):
        got = [column[:len(expected[0])] for column in await sink.receive()]
        assert got == expected, f"step {n}: sums must be {expected!r}, not {got!r}"


def layouts(core):
    config = core.config
    vector = data.ArrayLayout(TABLES(core.inputs) if core.inputs > 1 else data.ArrayLayout(signed(8), GROUP),
                              config.columns)
    product = data.ArrayLayout(data.ArrayLayout(signed(SUM_BITS), core.lanes), config.columns)
    return CORE_WEIGHTS(config), vector, product


@cocotb.test()
async def random_stalls(dut):
    core = CORES[case()]()
    beat, vector, product = layouts(core)
    await start(dut)
    for gaps, stall in [((0, 0), 0), ((0.5, 0), 0), ((0, 0.5), 0.3), ((0.3, 0.3), 0.6)]:
        weights, acts, sums = steps(core, generator(rng(f"{gaps} {stall}")), 60)
        sink = Sink(dut, "sums", product, stall=stall)
        cocotb.start_soon(Source(dut, "weights", beat, gap=gaps[0]).send_all(weights))
        cocotb.start_soon(Source(dut, "acts", vector, gap=gaps[1]).send_all(acts))
        await expect(sink, sums)
        await sink.expect_none()


@cocotb.test()
async def latency_and_throughput(dut):
    """Sums come `latency` cycles after their operands, one step per cycle, whatever its format."""
    core = CORES[case()]()
    weights, acts, sums = steps(core, generator(rng()), 0)
    beat, vector, _ = layouts(core)
    await start(dut)
    cocotb.start_soon(Source(dut, "weights", beat, gap=0).send_all(weights))
    cocotb.start_soon(Source(dut, "acts", vector, gap=0).send_all(acts))
    dut.sums__ready.value = 1
    seen = []
    for _ in range(core.latency + len(sums) + 3):
        await cocotb.triggers.FallingEdge(dut.clk)
        seen.append(int(dut.sums__valid.value))
    assert seen == [0] * core.latency + [1] * len(sums) + [0] * 3


@cocotb.test()
async def fills_up_and_drains(dut):
    """When no sums are taken, `capacity` steps are, and none is lost."""
    core = CORES[case()]()
    weights, acts, sums = steps(core, generator(rng()), 60)
    beat, vector, product = layouts(core)
    await start(dut)
    source = Source(dut, "weights", beat, gap=0)
    cocotb.start_soon(source.send_all(weights))
    cocotb.start_soon(Source(dut, "acts", vector, gap=0).send_all(acts))
    for _ in range(3 * core.capacity):
        await cocotb.triggers.RisingEdge(dut.clk)
    assert source.count == core.capacity
    await expect(Sink(dut, "sums", product, stall=0), sums)
