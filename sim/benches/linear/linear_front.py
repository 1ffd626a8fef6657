"""Bench of the linear pipeline: whole matrices, from packed bytes to exact sums."""

import cocotb
from amaranth import signed
from amaranth.lib import data
from cocotb.triggers import FallingEdge

from rtl.linear.pipeline import LINEAR_COMMAND, LinearPipeline
from rtl.spec.config import Config, get
from rtl.spec.formats import FORMATS, SPARSE
from rtl.spec.isa import WeightFormat
from rtl.spec.limits import ACC_BITS
from rtl.spec.numbers import GROUP
from rtl.spec.payloads import ActivationWrite, WeightStep
from rtl.spec.sparse_modes import BLOCK

from ...harness.bench import Sink, Source, case, cycles, get_port, rng, start
from ...oracles.linear import EXACT_SUMS
from ._matrix import ODD, Matrix, activation_writes, activations, generator


def config(name, beat_bits, columns, core, **changes):
    return Config(
        name=name,
        beat_bits=beat_bits,
        columns=columns,
        lanes=4,
        act_groups=32,
        core=core,
        **changes,
    )


S8 = WeightFormat.S8
PLAIN = "U4", "S8", "TERNARY"
SKIPPED = "TERNARY", "SPARSE4", "SPARSE8"
PLANES = "U1", "U2", "U3", "TERNARY"
FILES = "U4", "S8", "U5", "S6", "FP4", "FP4_16", "IQ4"

CONFIGS = {
    "small": get("small"),
    "odd": ODD,
    "wide": get("wide"),
    "plain": config("plain", 256, 3, "systolic", formats=("U4", "S8")),
    "ternary": config("ternary", 128, 2, "systolic", formats=("S8", "TERNARY")),
    "odd-lut": config("odd-lut", 256, 2, "lut"),
    "two-bit": config("two-bit", 128, 2, "lut", formats=("U2", "U3", "S8")),
    "odd-dspchain": config("odd-dspchain", 256, 2, "dspchain"),
    "files": config("files", 128, 2, "systolic", formats=FILES),
    "files-lut": config("files-lut", 128, 1, "lut", formats=(*FILES, "U1", "TERNARY")),
    "files-dspchain": config("files-dspchain", 256, 2, "dspchain", formats=(*FILES, "SPARSE4")),
    "books": config("books", 512, 1, "dspchain", formats=("S8", "FP4", "FP4_16", "IQ4")),
    "half": config("half", 64, 2, "systolic", formats=(*FILES, "TERNARY", "SPARSE4", "SPARSE8")),
    "half-lut": config("half-lut", 64, 1, "lut", formats=(*FILES, *PLANES, "SPARSE4")),
    "half-dspchain": config("half-dspchain", 64, 2, "dspchain", formats=(*FILES, *SKIPPED)),
    "quarter-dspchain": config("quarter-dspchain", 32, 1, "dspchain", formats=(*PLAIN, "SPARSE4")),
    "eighth-dspchain": config("eighth-dspchain", 16, 1, "dspchain"),
    "quarter": config("quarter", 32, 3, "systolic", formats=(*PLAIN, "S6")),
    "quarter-lut": config("quarter-lut", 32, 1, "lut", formats=(*PLAIN, "U3")),
    "eighth": config("eighth", 16, 1, "systolic", formats=PLAIN),
    "eighth-lut": config("eighth-lut", 16, 2, "lut", formats=(*PLAIN, "U1", "U2")),
    "patterns": config(
        "patterns", 128, 2, "dspchain", formats=("S8", "SPARSE4"), patterns=("4:16", "2:4")
    ),
}
CASES = {name: lambda config=config: LinearPipeline(config) for name, config in CONFIGS.items()}


def layouts(config):
    return {
        "command": LINEAR_COMMAND,
        "beats": config.beat_bits,
        "write": ActivationWrite(config),
        "accs": data.ArrayLayout(data.ArrayLayout(signed(ACC_BITS), config.rows), config.columns),
        "row_scales": data.ArrayLayout(32, config.rows),
        "embed": WeightStep(config),
    }


def sources(dut, config, gap):
    return [
        Source(dut, name, layouts(config)[name], gap=gap) for name in ("command", "beats", "write")
    ]


def sinks(dut, config, stall):
    return [
        Sink(dut, name, layouts(config)[name], stall=stall, limit=10000 * config.parts)
        for name in ("accs", "row_scales", "embed")
    ]


def command(matrix, act=0, embed=0):
    return {
        "rows": matrix.rows,
        "groups": matrix.groups,
        "act": act,
        "embed": embed,
        # Of rows without a descriptor; with one it does not count.
        "format": matrix.fmt.value if embed else (matrix.fmt.value + 1) % len(WeightFormat),
    }


def accs(matrix, q, exponents):
    """Payloads of the sums."""
    exact = EXACT_SUMS.expect(matrix.integers, q, exponents)
    return matrix.tiles(exact.T).transpose(0, 2, 1).tolist()


async def expect_embed(sink, matrices):
    """Steps of an embedding's block, as far as it looks at them."""
    for matrix in matrices:
        for want in matrix.embed_steps:
            got = await sink.receive()
            got = {
                "codes": got["codes"],
                "scale": got["scale"][: matrix.config.rows],
                "last": got["last"],
            }
            assert got == want, (sink.count, got, want)


async def check(dut, gap, stall, groups, act):
    """Matrices of all formats with the same activations, and embedding blocks in between."""
    config = CONFIGS[case()]
    gen, block = generator(rng(f"{gap} {stall} {groups}")), config.block_rows
    q, exponents = activations(config, gen, groups)
    shapes = [(S8, block, 1), (S8, block, 1), (S8, 3, 0)]
    for fmt in config.weight_formats:
        tall = 16 * config.rows if fmt in SPARSE else block
        shapes += [(fmt, int(gen.choice([1, tall, tall + 1, 2 * tall - 1])), 0) for _ in range(2)]
    work = [
        (Matrix.random(config, gen, fmt, rows, groups), embed)
        for fmt, rows, embed in [shapes[n] for n in gen.permutation(len(shapes))]
    ]

    commands, beats, write = sources(dut, config, gap)
    sums, scales, rows = sinks(dut, config, stall)
    await write.send_all(activation_writes(config, q, exponents, act))
    tasks = [
        commands.send_all([command(matrix, act, embed) for matrix, embed in work]),
        beats.send_all(
            [beat for matrix, embed in work for beat in (matrix.body if embed else matrix.beats)]
        ),
        scales.expect_all([tile for matrix, _ in work for tile in matrix.row_scale_tiles]),
        expect_embed(rows, [matrix for matrix, embed in work if embed]),
        sums.expect_all(
            [acc for matrix, embed in work if not embed for acc in accs(matrix, q, exponents)]
        ),
    ]
    for task in [cocotb.start_soon(task) for task in tasks]:
        await task
    await sums.expect_none()


@cocotb.test()
async def matrices(dut):
    await start(dut)
    last = CONFIGS[case()].act_groups - 3
    for gap, stall, act in [(0, 0, 7), (0.5, 0, last), (0, 0.7, 7), (0.3, 0.3, last)]:
        await check(dut, gap, stall, 3, act)
        await check(dut, gap, stall, 1, 0)


@cocotb.test()
async def long_rows(dut):
    """All groups of the activation buffer, and an odd number of them."""
    await start(dut)
    await check(dut, 0.1, 0.1, 31, 1)
    await check(dut, 0, 0, CONFIGS[case()].act_groups, 0)


async def begin(dut, config, gen, groups):
    """Fill the activation buffer, and take all that comes."""
    await start(dut)
    commands, _, write = sources(dut, config, 0)
    await write.send_all(activation_writes(config, *activations(config, gen, groups)))
    for sink in ("accs", "row_scales"):
        get_port(dut, f"{sink}.ready").value = 1
    return commands


@cocotb.test()
async def one_beat_per_cycle(dut):
    """The beats of a matrix are taken without a pause, and sums follow as fast as is said."""
    config = CONFIGS[case()]
    gen, groups = generator(rng()), 4
    commands = await begin(dut, config, gen, groups)
    latency = LinearPipeline(config).latency
    for fmt, its in [(fmt, FORMATS[fmt]) for fmt in config.weight_formats]:
        if its.sparse or its.gear or its.step_format != fmt:
            continue
        matrix = Matrix.random(config, gen, fmt, 3 * config.block_rows, groups)
        sending = cocotb.start_soon(commands.send(command(matrix)))
        await cycles(dut)  # it waits for its descriptor
        ends, seen, slices, parts = [], [], its.step_rows, config.parts
        for n, beat in enumerate(matrix.beats + [None] * (latency + slices)):
            get_port(dut, "beats.valid").value = beat is not None
            get_port(dut, "beats.payload").value = beat or 0
            await FallingEdge(dut.clk)
            assert beat is None or get_port(dut, "beats.ready").value, f"beat {n} is not taken"
            if get_port(dut, "accs.valid").value:
                seen.append(n)
            await cycles(dut)
        # Where the tiles end: (step of the block) to (word of the block), and to its last beat.
        steps = groups * its.steps_per_group
        block = its.block_beats(groups, config.word_bytes)
        for b in range(3):
            for t in range(its.tiles):
                n = (t + 1) * steps - 1
                high = 1 + n // its.high_run if its.high_run else 0
                scales = 1 + n // its.scale_run
                word = config.unit_words + b * block + 1 + n + scales + high
                ends.append((word + 1) * parts - 1)
        await sending
        assert seen == [n + latency + k for n in ends for k in range(slices)]


def core_cycles(core, matrix):
    """Cycles that the core needs for the steps of a matrix."""
    fmt, its, whole = matrix.fmt, FORMATS[matrix.fmt], matrix.fmt in core.native
    count, config = 0, matrix.config
    if not its.sparse:
        tiles = len(matrix.tiles(matrix.codes)) // its.step_rows
        steps = GROUP // FORMATS[its.step_format].elements  # of a group
        return tiles * matrix.groups * steps * config.parts * (1 if whole else its.step_rows)
    size = config.word_bytes
    packed = b"".join(beat.to_bytes(config.beat_bytes, "little") for beat in matrix.body)
    for _, _, mode, _ in its.walk(packed, matrix.rows, matrix.groups, size):
        if mode is not None:
            count += (
                its.code_beats(mode) * core.passes(fmt, mode) if whole else BLOCK * config.parts
            )
    return count


@cocotb.test()
async def keeps_up(dut):
    """A matrix takes as many cycles as it has beats, or as the core needs, and few more."""
    config = CONFIGS[case()]
    gen, groups = generator(rng()), 20
    commands = await begin(dut, config, gen, groups)
    pipeline = LinearPipeline(config)
    for fmt in config.weight_formats:
        matrix = Matrix.random(config, gen, fmt, 32 * config.rows, groups)
        beats = Source(dut, "beats", config.beat_bits, gap=0)
        sending = [
            cocotb.start_soon(commands.send(command(matrix))),
            cocotb.start_soon(beats.send_all(matrix.beats)),
        ]
        count = wait = 0
        while wait < len(matrix.row_scale_tiles):
            await FallingEdge(dut.clk)
            wait += int(get_port(dut, "accs.valid").value)
            count += 1
        await cycles(dut)
        for task in sending:
            await task
        beats, needed = len(matrix.beats), core_cycles(pipeline.core, matrix)
        dut._log.info("%s: %d beats, %d steps, %d cycles", fmt.name, beats, needed, count)
        # Beside them: what is taken of a stripe or block while the core waits.
        assert count <= max(beats, needed) * 1.1 + 80, (fmt, beats, needed, count)
