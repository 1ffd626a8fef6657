"""Bench of the weight unpacker."""

import cocotb
import numpy as np
from amaranth.lib import data

from rtl.linear.unpack import SCALE_BEATS, UNPACK_COMMAND, WeightUnpacker
from rtl.spec.config import Config, get
from rtl.spec.formats import SPARSE
from rtl.spec.formats.stripes import HEADER_BLOCKS
from rtl.spec.isa import WeightFormat
from rtl.spec.limits import GROUPS
from rtl.spec.payloads import WeightStep
from rtl.spec.sparse_modes import BLOCK

from ...harness.bench import Sink, Source, case, cycles, get_port, rng, start
from ..cores._steps import StepMatrix, settle
from ._matrix import ODD, generator


FILES = "U4", "S8", "U5", "S6", "FP4", "FP4_16", "IQ4"
CONFIGS = {
    "small": get("small"),
    "odd": ODD,
    "wide": get("wide"),
    "small-lut": get("small-lut"),
    "wide-lut": get("wide-lut"),
    "few": Config(
        name="few",
        beat_bits=128,
        columns=1,
        lanes=4,
        core="lut",
        formats=("S8", "U3", "SPARSE8"),
        patterns=("4:16",),
    ),
    "files": Config(name="files", beat_bits=128, columns=1, lanes=4, formats=FILES),
    "wide-files": Config(name="wide-files", beat_bits=512, columns=1, lanes=4, formats=FILES),
    "quarter": Config(
        name="quarter",
        beat_bits=32,
        columns=1,
        lanes=4,
        core="lut",
        formats=("U1", "U3", "S8", "U5", "IQ4", "SPARSE8"),
    ),
    "embedding": Config(name="embedding", beat_bits=256, columns=1, lanes=4, formats=("S8",)),
}
CASES = {name: lambda config=config: WeightUnpacker(config) for name, config in CONFIGS.items()}


def formats(config):
    return config.weight_formats


def sparse_formats(config):
    return sorted(SPARSE & set(formats(config)), key=lambda fmt: fmt.value)


def matrices(config, gen):
    """Groups that are no multiple of a scale beat's or a gear's, rows that are none of a block;
    formats take turns."""
    block = config.block_rows
    shapes = [(1, 1), (block, 2), (block + 1, 4), (3 * block - 1, 5), (2, 6), (block, 18), (1, 1)]
    work = [
        StepMatrix.random(config, gen, fmt, *shape) for shape in shapes for fmt in formats(config)
    ]
    for fmt in sparse_formats(config):

        def add(stripes, groups):
            work.append(StepMatrix.random(config, gen, fmt, 16 * n * stripes - 1, groups))
            return work[-1].codes

        n = config.rows
        add(3, 40 * n)[:] *= np.repeat(gen.random(80 * n) < 0.1, 16)  # hardly a block stored
        add(2, 3)[:] = 0
        add(1, 16 * n)[:, ::16] = 1  # all blocks of a header stored
        # Headers of zeros between blocks, and before the first; others begin with or end in zeros.
        lonely, late = add(1, 56 * n), add(2, 33 * n)
        lonely[:, ::16] = 1
        lonely[:, 16 * 3 : -16 * 4] = 0
        lonely[:, -16 * 3 :] = 0
        late[:, : -32 * n - 16] = 0
    return work


def lone_blocks(config, gen):
    """Sparse matrices of one row, with one block stored: at each place of a header, and at the
    last place that there can be. Headers are the same in all of these formats: one will do."""
    for fmt in sparse_formats(config)[:1]:
        for place in [*range(HEADER_BLOCKS * config.rows), 2 * GROUPS - 1]:
            matrix = StepMatrix.random(config, gen, fmt, 1, place // 2 + 1)
            matrix.codes[:] = 0
            matrix.codes[0, BLOCK * place] = 1
            yield matrix


async def check(dut, draw, gap, stall, scale_stall):
    config = CONFIGS[case()]
    work = list(draw(config, generator(rng(f"{gap} {stall}"))))
    commands = Source(dut, "command", UNPACK_COMMAND, gap=gap)
    beats = Source(dut, "beats", config.beat_bits, gap=gap)
    o = Sink(dut, "o", WeightStep(config), stall=stall)
    scales = Sink(dut, "row_scales", data.ArrayLayout(32, config.rows), stall=scale_stall)
    await start(dut)
    cocotb.start_soon(commands.send_all([matrix.command for matrix in work]))
    feed = cocotb.start_soon(beats.send_all([beat for matrix in work for beat in matrix.beats]))
    scaled = cocotb.start_soon(
        scales.expect_all([tile for matrix in work for tile in matrix.row_scale_tiles])
    )
    for matrix in work:
        what = f"{matrix.fmt.name} of {matrix.rows} x {matrix.groups}"
        for n, want in enumerate(matrix.steps):
            got, want = settle(config, await o.receive()), settle(config, want)
            assert got == want, f"step {n} of {what} must be {want!r}, not {got!r}"
    await scaled
    await feed
    await o.expect_none()


@cocotb.test()
async def full_speed(dut):
    for draw in matrices, lone_blocks:
        await check(dut, draw, gap=0, stall=0, scale_stall=0)


@cocotb.test()
async def gaps_and_stalls(dut):
    await check(dut, matrices, gap=0.4, stall=0, scale_stall=0.9)
    await check(dut, matrices, gap=0, stall=0.6, scale_stall=0)


def least_cycles(matrix):
    """Cycles from the first beat to the last one, when all are there: beats, steps without a beat
    and with no scale beat due, and one to search the header."""
    groups, blocks = matrix.groups, -(-matrix.rows // matrix.config.block_rows)
    parts = matrix.config.parts
    total = len(matrix.beats) + (matrix.fmt in SPARSE and parts == 1)
    if matrix.fmt == WeightFormat.TERNARY and not matrix.config.aside:
        total += 2 * blocks * (groups // 5)
    if matrix.fmt == WeightFormat.IQ4:
        total += 4 * blocks * groups  # a step more of each beat
    if matrix.fmt == WeightFormat.U3 and parts == 1:  # or beats of the next word are taken
        # A scale beat comes along when the step ends a run of eight.
        without = [t * groups + g for t in range(4) for g in range(3, groups, 4)]
        total += blocks * sum(s % 8 != 7 for s in without)
    return total


@cocotb.test()
async def one_beat_per_cycle(dut):
    """A matrix takes as many cycles as it has beats, and steps beyond those; even if nobody takes
    its row scales."""
    config = CONFIGS[case()]
    gen = generator(rng())
    await start(dut)
    get_port(dut, "o.ready").value = 1
    for fmt in formats(config):
        sparse = fmt in SPARSE
        # A stripe with one header. Of the others, one that does not end with a step without a beat.
        matrix = StepMatrix.random(
            config,
            gen,
            fmt,
            (16 if sparse else 12) * config.rows,
            16 * config.rows + (0 if sparse else 2),
        )
        commands = Source(dut, "command", UNPACK_COMMAND, gap=0)
        # Their FIFO is empty before, but what is left of the last matrix' goes first.
        get_port(dut, "row_scales.ready").value = 1
        await cycles(dut, 4 * SCALE_BEATS(config) + 8)
        get_port(dut, "row_scales.ready").value = 0
        sending = cocotb.start_soon(commands.send(matrix.command))
        await cycles(dut)  # it waits for its descriptor
        taken, waited = 0, 0
        beats = matrix.beats
        get_port(dut, "beats.valid").value = 1
        while taken < len(beats):
            get_port(dut, "beats.payload").value = beats[taken]
            await cocotb.triggers.FallingEdge(dut.clk)
            ready = int(get_port(dut, "beats.ready").value)
            taken, waited = taken + ready, waited + 1
            await cycles(dut)
        get_port(dut, "beats.valid").value = 0
        await sending
        want = least_cycles(matrix)
        assert waited == want, f"{fmt.name}: {waited} cycles for {len(beats)} beats, not {want}"
