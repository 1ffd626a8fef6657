"""Bench of the weight unpacker."""

import cocotb
from amaranth.lib import data

from rtl.config import get
from rtl.layouts import WeightBeat
from rtl.linear.unpack import SCALE_BLOCKS, UNPACK_COMMAND, WeightUnpacker

from ..bench import Sink, Source, case, cycles, get_port, rng, start
from ._matrix import FORMATS, ODD, Matrix, generator


CONFIGS = {"small": get("small"), "odd": ODD, "wide": get("wide")}
CASES = {name: lambda config=config: WeightUnpacker(config) for name, config in CONFIGS.items()}


def matrices(config, gen):
    """Groups that are no multiple of a scale beat's, rows that are none of a block."""
    block = config.block_rows
    shapes = [(1, 1), (block, 2), (block + 1, 3), (3 * block - 1, 5), (2, 9), (1, 1)]
    return [Matrix.random(config, gen, fmt, *shape) for shape in shapes for fmt in FORMATS]


def command(matrix):
    return {"format": matrix.fmt.value, "rows": matrix.rows, "groups": matrix.groups}


async def check(dut, gap, stall, scale_stall):
    config = CONFIGS[case()]
    work = matrices(config, generator(rng(f"{gap} {stall}")))
    commands = Source(dut, "command", UNPACK_COMMAND, gap=gap)
    beats = Source(dut, "beats", config.beat_bits, gap=gap)
    o = Sink(dut, "o", WeightBeat(config), stall=stall)
    scales = Sink(dut, "row_scales", data.ArrayLayout(32, config.rows), stall=scale_stall)
    await start(dut)
    cocotb.start_soon(commands.send_all([command(matrix) for matrix in work]))
    feed = cocotb.start_soon(beats.send_all([beat for matrix in work for beat in matrix.beats]))
    scaled = cocotb.start_soon(
        scales.expect_all([tile for matrix in work for tile in matrix.row_scale_tiles]))
    await o.expect_all([beat for matrix in work for beat in matrix.weight_beats])
    await scaled
    await feed
    await o.expect_none()


@cocotb.test()
async def full_speed(dut):
    await check(dut, gap=0, stall=0, scale_stall=0)


@cocotb.test()
async def gaps_and_stalls(dut):
    await check(dut, gap=0.4, stall=0, scale_stall=0.9)
    await check(dut, gap=0, stall=0.6, scale_stall=0)


@cocotb.test()
async def one_beat_per_cycle(dut):
    """A matrix takes as many cycles as it has beats, even if nobody takes its row scales."""
    config = CONFIGS[case()]
    matrix = Matrix.random(config, generator(rng()), FORMATS[0], SCALE_BLOCKS * config.block_rows, 5)
    commands = Source(dut, "command", UNPACK_COMMAND, gap=0)
    await start(dut)
    get_port(dut, "o.ready").value = 1
    await commands.send(command(matrix))
    for beat in matrix.beats:
        get_port(dut, "beats.payload").value = beat
        get_port(dut, "beats.valid").value = 1
        await cocotb.triggers.FallingEdge(dut.clk)
        assert get_port(dut, "beats.ready").value == 1
        await cycles(dut)
