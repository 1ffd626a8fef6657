"""Bench of the linear pipeline: whole matrices, from packed bytes to exact sums."""

import cocotb
import numpy as np
from amaranth import signed
from amaranth.lib import data
from cocotb.triggers import FallingEdge

from rtl.config import get
from rtl.formats import BEATS_PER_GROUP, SCALE_RUN, TILES, block_beats
from rtl.isa import WeightFormat
from rtl.layouts import ActivationWrite, WeightBeat
from rtl.linear.group_scale import ACC_BITS
from rtl.linear.pipeline import LINEAR_COMMAND, LinearPipeline
from sw_ref import numerics

from ..bench import Sink, Source, case, cycles, get_port, rng, start
from ._matrix import ODD, Matrix, activation_writes, activations, generator


CONFIGS = {"small": get("small"), "odd": ODD, "wide": get("wide")}
CASES = {name: lambda config=config: LinearPipeline(config) for name, config in CONFIGS.items()}

U4, S8 = WeightFormat.U4, WeightFormat.S8


def layouts(config):
    return {"command": LINEAR_COMMAND, "beats": config.beat_bits, "write": ActivationWrite(config),
            "accs": data.ArrayLayout(data.ArrayLayout(signed(ACC_BITS), config.rows), config.columns),
            "row_scales": data.ArrayLayout(32, config.rows), "embed": WeightBeat(config)}


def sources(dut, config, gap):
    return [Source(dut, name, layouts(config)[name], gap=gap) for name in ("command", "beats", "write")]


def sinks(dut, config, stall):
    return [Sink(dut, name, layouts(config)[name], stall=stall)
            for name in ("accs", "row_scales", "embed")]


def command(matrix, act=0, embed=0):
    return {"format": matrix.fmt.value, "rows": matrix.rows, "groups": matrix.groups,
            "centre": matrix.centre_shift, "act": act, "embed": embed}


def accs(matrix, q, exponents):
    """Payloads of the sums, from the definition."""
    exact = matrix.integers @ numerics.aligned(q, exponents).astype(np.int64).T  # (row, column)
    scaled = numerics.linear_scale(exact.T, matrix.row_scale, exponents.max(-1)[:, None])
    defined = numerics.linear(matrix.integers.astype(np.float64), matrix.row_scale, q, exponents)
    np.testing.assert_array_equal(scaled, defined)
    return matrix.tiles(exact).transpose(0, 2, 1).tolist()


async def check(dut, gap, stall, groups, act):
    """Matrices of both formats with the same activations, and embedding blocks in between."""
    config = CONFIGS[case()]
    gen, block = generator(rng(f"{gap} {stall} {groups}")), config.block_rows
    q, exponents = activations(config, gen, groups)
    work = [(Matrix.random(config, gen, fmt, rows, groups), embed)
            for fmt, rows, embed in [(U4, 1, 0), (S8, block, 1), (S8, block + 1, 0), (U4, 2 * block - 1, 0),
                                     (S8, block, 1), (S8, 3, 0)]]

    commands, beats, write = sources(dut, config, gap)
    sums, scales, rows = sinks(dut, config, stall)
    await write.send_all(activation_writes(config, q, exponents, act))
    tasks = [
        commands.send_all([command(matrix, act, embed) for matrix, embed in work]),
        beats.send_all([beat for matrix, _ in work for beat in matrix.beats]),
        scales.expect_all([tile for matrix, _ in work for tile in matrix.row_scale_tiles]),
        rows.expect_all([beat for matrix, embed in work if embed for beat in matrix.weight_beats]),
        sums.expect_all([acc for matrix, embed in work if not embed
                         for acc in accs(matrix, q, exponents)]),
    ]
    for task in [cocotb.start_soon(task) for task in tasks]:
        await task
    await sums.expect_none()


@cocotb.test()
async def matrices(dut):
    await start(dut)
    for gap, stall in [(0, 0), (0.5, 0), (0, 0.7), (0.3, 0.3)]:
        await check(dut, gap, stall, 3, 7)
        await check(dut, gap, stall, 1, 0)


@cocotb.test()
async def long_rows(dut):
    """All groups of the activation buffer, and an odd number of them."""
    await start(dut)
    await check(dut, 0.1, 0.1, 31, 1)
    await check(dut, 0, 0, CONFIGS[case()].act_groups, 0)


@cocotb.test()
async def one_beat_per_cycle(dut):
    """The beats of a matrix are taken without a pause, and sums follow as fast as is said."""
    config = CONFIGS[case()]
    gen, groups = generator(rng()), 4
    q, exponents = activations(config, gen, groups)
    await start(dut)
    commands, _, write = sources(dut, config, 0)
    await write.send_all(activation_writes(config, q, exponents))
    for sink in ("accs", "row_scales"):
        get_port(dut, f"{sink}.ready").value = 1
    latency = LinearPipeline(config).latency
    for fmt in (U4, S8):
        matrix = Matrix.random(config, gen, fmt, 3 * config.block_rows, groups)
        await commands.send(command(matrix))
        ends, seen = [], []
        for n, beat in enumerate(matrix.beats + [None] * (latency + 1)):
            get_port(dut, "beats.valid").value = beat is not None
            get_port(dut, "beats.payload").value = beat or 0
            await FallingEdge(dut.clk)
            assert beat is None or get_port(dut, "beats.ready").value, f"beat {n} is not taken"
            if get_port(dut, "accs.valid").value:
                seen.append(n)
            await cycles(dut)
        # Where the tiles end: (weight beat of the block) to (beat of the block).
        weights = TILES * groups * BEATS_PER_GROUP[fmt]
        block = block_beats(fmt, groups, config.beat_bytes)
        for b in range(3):
            for t in range(TILES):
                n = (t + 1) * weights // TILES - 1
                ends.append(b * block + 1 + n + 1 + n // SCALE_RUN[fmt])
        assert seen == [n + latency for n in ends]
