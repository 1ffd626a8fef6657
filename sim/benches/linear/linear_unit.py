"""Linear unit: packed matrices and blocks in, lines of the vector memory and best logits out."""

from dataclasses import replace

import cocotb
import numpy as np
from cocotb.triggers import FallingEdge

from rtl.linear.unit import LinearUnit
from rtl.spec.config import GROUP, Config, get
from rtl.spec.csr import BEST
from rtl.spec.descriptor import Descriptor, contradictions, fault_info
from rtl.spec.isa import Embed, MatMul, WeightFormat
from rtl.spec.limits import COLUMN_BITS, ROW_BITS
from rtl.spec.numbers import UNIT_WORDS
from rtl.spec.payloads import ActivationWrite, Dispatched, Logit, vector_write
from sim.harness.bench import Sink, Source, case, cycles, rng, start
from sim.harness.patterns import EDGES, floats, is_finite
from sim.oracles.linear import BEST_LOGITS, EMBEDDING, LINEAR
from sim.oracles.vector import QUANTIZE

from ._matrix import Matrix


def small(core, **changes):
    usual = {"beat_bits": 128, "columns": 2, "lanes": 4}
    return Config(name=core, core=core, **usual | changes)


FILES = "U4", "S8", "U5", "S6", "FP4", "FP4_16", "IQ4"


CASES = {
    "small": lambda: LinearUnit(get("small")),
    "three": lambda: LinearUnit(
        Config(
            name="three", beat_bits=256, columns=3, lanes=8, vector_words=1 << 18, act_groups=1024
        )
    ),
    "plain": lambda: LinearUnit(small("systolic", formats=("U4", "S8"))),
    "lut": lambda: LinearUnit(small("lut")),
    "dspchain": lambda: LinearUnit(small("dspchain")),
    "half": lambda: LinearUnit(small("lut", beat_bits=64, lanes=8, formats=(*FILES, "TERNARY"))),
    "eighth": lambda: LinearUnit(small("systolic", beat_bits=16, lanes=2)),
}

f32 = np.float32


class Harness:
    """The unit with a vector memory, and streams around it."""

    def __init__(self, dut, config, gap, stall):
        self.dut, self.config = dut, config
        self.insns = Source(dut, "insn", Dispatched, gap=0)
        self.beats = Source(dut, "beats", config.beat_bits, gap=gap)
        self.acts = Source(dut, "write_act", ActivationWrite(config), gap=gap)
        self.sink = Sink(dut, "write", vector_write(config), stall=stall, limit=1 << 30)
        self.memory = np.full(config.vector_words, 0xDEADBEEF, np.uint32)
        self.tasks = [cocotb.start_soon(self.take_writes())]

    def stop(self):
        for task in self.tasks:
            task.cancel()

    async def take_writes(self):
        lanes = self.config.lanes
        while True:
            line = await self.sink.receive()
            for lane in range(lanes):
                if line["mask"] >> lane & 1:
                    self.memory[line["line"] * lanes + lane] = line["data"][lane]

    async def write_activations(self, first, x):
        """Vectors (M, K), quantized, to the activation buffer, from the group `first` on."""
        for column, (values, exps) in enumerate(zip(*QUANTIZE.expect(x, GROUP, 8))):
            runs = values.reshape(-1, self.config.lanes)
            per_group = GROUP // self.config.lanes
            for n, run in enumerate(runs.tolist()):
                group, place = divmod(n, per_group)
                await self.acts.send(
                    {
                        "values": run,
                        "exponent": int(exps[group]),
                        "group": first + group,
                        "column": column,
                        "clear": int(n == 0),
                        "last": int(place == per_group - 1),
                    }
                )
        await cycles(self.dut, 3)

    async def execute(self, insns, matrices):
        """Run instructions back to back; returns once the unit is idle."""

        async def feed():
            for matrix, insn in zip(matrices, insns, strict=True):
                embed = isinstance(insn, Embed)
                await self.beats.send_all(matrix.body if embed else matrix.beats)

        feeding = cocotb.start_soon(feed())
        for insn in insns:
            await self.insns.send({"word": insn.encode(), "pc": 0})
        await self.idle()
        await feeding

    async def idle(self, limit=20000):
        for _ in range(limit):
            await FallingEdge(self.dut.clk)
            if not int(self.dut.busy.value):
                return await cycles(self.dut)
        raise AssertionError(f"still busy after {limit} cycles")

    async def best(self):
        entries = []
        for place in range(BEST):
            self.dut.best_index.value = place
            await cycles(self.dut)
            await FallingEdge(self.dut.clk)
            entry = Logit.from_bits(int(self.dut.best.value))
            entries.append((entry.value, entry.id))
        await cycles(self.dut)
        return entries


def bits(x):
    return np.asarray(x, f32).view(np.uint32)


def formats_of(config):
    return config.weight_formats


def random_matrix(config, random, fmt, rows, groups):
    matrix = Matrix.random(config, random, fmt, rows, groups)
    matrix.row_scale *= f32(1e-4)
    # Row scales may be any patterns.
    wild = random.integers(0, 1 << 32, len(EDGES), np.uint32).view(f32)
    chosen = random.choice(np.concatenate([floats(EDGES), wild]), rows)
    matrix.row_scale[:] = np.where(random.random(rows) < 0.1, chosen, matrix.row_scale)
    return matrix


def product_of(matrix, x):
    return LINEAR.expect(matrix.integers, matrix.row_scale, x)


def best(logits):
    """Entries of the search, as the harness reads them."""
    ids, values = BEST_LOGITS.expect(logits)
    return list(zip(bits(values).tolist(), ids.tolist(), strict=True))


def place(config, random, rows):
    """Where a product may go: its first word, and words from column to column."""
    most = min((config.vector_words - rows) // max(config.columns - 1, 1), (1 << COLUMN_BITS) - 1)
    stride = int(random.choice([rows, most, random.integers(rows, most + 1)]))
    return int(
        random.integers(config.vector_words - rows - (config.columns - 1) * stride + 1)
    ), stride


@cocotb.test()
async def executes(dut):
    design, seed = CASES[case()](), rng().getrandbits(32)
    config, random = design.config, np.random.default_rng(seed)
    some = int(random.integers(1 << ROW_BITS))
    embedded = iter((some, some ^ (1 << ROW_BITS) - 1, (1 << ROW_BITS) - 1, 0))
    await start(dut)
    for gap, stall in [(0, 0), (0.3, 0.3), (0.6, 0), (0, 0.7)]:
        unit = Harness(dut, config, gap, stall)
        groups = 3
        first = int(random.choice([5, config.act_groups - groups]))
        x = (
            random.standard_normal((config.columns, groups * GROUP))
            * 10.0 ** random.integers(-3, 4, (config.columns, 1))
        ).astype(f32)
        await unit.write_activations(first, x)

        # Matrices that are not a multiple of anything, an embedding, and whole numbers of blocks.
        matrices = [
            random_matrix(config, random, fmt, rows, groups)
            for fmt in formats_of(config)
            for rows in (5 * config.block_rows + 1, 8 * config.block_rows)
        ]
        matrices = [matrices[n] for n in random.permutation(len(matrices))]
        e = random_matrix(config, random, random.choice(config.embed_formats), UNIT_WORDS, groups)
        # Each result is written where it may lie over those before.
        common = {"groups": groups, "act": first, "column": config.columns - 1}
        want = np.full_like(unit.memory, 0xDEADBEEF)
        insns = []
        for n, matrix in enumerate(matrices):
            at, stride = place(config, random, matrix.rows)
            insns.append(
                MatMul(
                    rows=matrix.rows,
                    dst=at,
                    stride=stride,
                    **common,
                )
            )
            for column, values in enumerate(bits(product_of(matrix, x))):
                want[at + column * stride :][: len(values)] = values
            if n == 1:
                row, at = next(embedded), int(random.integers(config.vector_words - groups * GROUP))
                insns.append(
                    Embed(format=e.fmt, row=row, groups=groups, centre=e.centre_shift, dst=at)
                )
                r = row % UNIT_WORDS
                embedding = bits(EMBEDDING.expect(e.integers, e.row_scale, r))
                want[at : at + len(embedding)] = embedding
        await unit.execute(insns, matrices[:2] + [e] + matrices[2:])
        wrong = np.flatnonzero(unit.memory != want)
        assert not len(wrong), (wrong, unit.memory[wrong], want[wrong])

        # More logits than are kept, as many, then fewer.
        for rows in (150, 64, 10, 1):
            logits = random_matrix(config, random, random.choice(formats_of(config)), rows, groups)
            column = int(random.integers(config.columns))
            await unit.execute(
                [
                    MatMul(
                        rows=rows,
                        best=1,
                        **common | {"column": column},
                    )
                ],
                [logits],
            )
            values = product_of(logits, x)[column]
            assert await unit.best() == best(values)
        assert is_finite(unit.memory).all()
        assert np.array_equal(unit.memory, want)
        unit.stop()


async def one_group(dut, stall):
    """Reset, and write a group of activations; returns configuration, generator, unit and the
    group.
    """
    config, random = CASES[case()]().config, np.random.default_rng(rng().getrandbits(32))
    await start(dut)
    unit = Harness(dut, config, 0, stall)
    x = random.standard_normal((config.columns, GROUP)).astype(f32)
    await unit.write_activations(0, x)
    return config, random, unit, x


@cocotb.test()
async def busy_until_written(dut):
    """However long the last line waits for the vector memory."""
    config, random, unit, x = await one_group(dut, 0.95)
    for rows in (1, config.lanes, config.lanes + 1):
        matrix = random_matrix(config, random, WeightFormat.U4, rows, 1)
        await unit.execute([MatMul(rows=rows, groups=1)], [matrix])
        assert np.array_equal(unit.memory[:rows], bits(product_of(matrix, x)[0]))
    unit.stop()


@cocotb.test()
async def back_to_back(dut):
    """The front is done with a small matrix while the one before waits for the vector memory."""
    config, random, unit, x = await one_group(dut, 0.9)
    matrices = [
        random_matrix(config, random, WeightFormat.U4, rows, 1)
        for rows in random.permutation([1, 1, 1, 2, config.lanes, config.lanes + 1]).tolist()
    ]
    await unit.execute(
        [MatMul(rows=m.rows, groups=1, dst=64 * n) for n, m in enumerate(matrices)],
        matrices,
    )
    for n, matrix in enumerate(matrices):
        assert np.array_equal(unit.memory[64 * n :][: matrix.rows], bits(product_of(matrix, x)[0]))
    unit.stop()


@cocotb.test()
async def searches_back_to_back(dut):
    """A search begins with nothing of the one before, whose last logits may still be in a queue."""
    config, random, unit, x = await one_group(dut, 0)
    for rows in (80, 3), (40, 70):
        matrices = [random_matrix(config, random, WeightFormat.U4, count, 1) for count in rows]
        # Each logit goes ahead of all before: the first search falls behind.
        order = np.argsort(product_of(matrices[0], x)[0], kind="stable")
        for name in ("codes", "scale", "centre", "row_scale"):
            setattr(matrices[0], name, getattr(matrices[0], name)[order])
        await unit.execute(
            [MatMul(rows=m.rows, groups=1, best=1) for m in matrices],
            matrices,
        )
        values = product_of(matrices[1], x)[0]
        assert await unit.best() == best(values)
    unit.stop()


CHANGES = {
    "none": {},
    "rows": {"rows": 9},
    "groups": {"groups": 2},
    "format": {"format": WeightFormat.U1},
    "another matrix": {"rows": 1 << 19, "groups": 1 << 9},
}


@cocotb.test()
@cocotb.parametrize(what=[*CHANGES, "magic"])
async def descriptor_that_contradicts(dut, what):
    """A fault, and nothing of that matrix is taken behind its descriptor."""
    config, random, unit, x = await one_group(dut, 0)
    whole, other = (random_matrix(config, random, WeightFormat.S8, 8, 1) for _ in range(2))
    its = Descriptor(other.fmt, 0, other.rows, other.groups)
    raw = replace(its, **CHANGES.get(what, {})).pack()
    raw = bytes(2) + raw[2:] if what == "magic" else raw
    found = contradictions(raw, other.rows, other.groups, config.weight_formats)
    assert bool(found) == (what != "none" and (what != "format" or "U1" not in config.formats))
    beats = [*whole.beats, *other.as_beats(raw), *other.body]
    unit.beats.limit = 1 << 30
    feeding = cocotb.start_soon(unit.beats.send_all(beats))
    for n, matrix in enumerate((whole, other)):
        insn = MatMul(rows=matrix.rows, groups=1, dst=64 * n)
        await unit.insns.send({"word": insn.encode(), "pc": 0})
    await cycles(dut, 200)
    assert np.array_equal(unit.memory[: whole.rows], bits(product_of(whole, x)[0]))
    assert int(dut.fault.value) == bool(found)
    if found:
        assert int(dut.fault_info.value) == fault_info(raw, found)
        # Of the word behind the descriptor all beats but the last are taken.
        taken = len(whole.beats) + config.unit_beats + config.parts - 1
        assert unit.beats.count == taken
        assert (unit.memory[64:] == 0xDEADBEEF).all()
        feeding.cancel()
    elif what == "none":
        await feeding
        assert np.array_equal(unit.memory[64:][: other.rows], bits(product_of(other, x)[0]))
    unit.stop()


@cocotb.test()
async def keeps_up(dut):
    """Back to back, and with beats at hand, small matrices cost few cycles over their beats."""
    design, seed = CASES[case()](), rng().getrandbits(32)
    config, random = design.config, np.random.default_rng(seed)
    await start(dut)
    unit = Harness(dut, config, 0, 0)
    groups = 8
    x = random.standard_normal((config.columns, groups * GROUP)).astype(f32)
    await unit.write_activations(0, x)
    matrices = [
        random_matrix(config, random, WeightFormat.U4, config.block_rows, groups) for _ in range(8)
    ]
    count, starved = 0, 0

    async def watch():
        nonlocal count, starved
        while True:
            await FallingEdge(dut.clk)
            count += 1
            starved += int(dut.starved.value)

    watching = cocotb.start_soon(watch())
    await unit.execute(
        [
            MatMul(
                rows=m.rows,
                groups=groups,
                dst=64 * n,
                stride=16,
                column=config.columns - 1,
            )
            for n, m in enumerate(matrices)
        ],
        matrices,
    )
    watching.cancel()
    beats = sum(len(m.beats) for m in matrices)
    dut._log.info("%d beats in %d cycles, starved for %d", beats, count, starved)
    assert count <= beats + 6 * len(matrices) + 80, (beats, count)
