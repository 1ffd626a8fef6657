"""What every linear core is tried with: its steps in all formats, against the integer dot
product.
"""

from dataclasses import dataclass
from itertools import product

import cocotb
import numpy as np
from cocotb.triggers import FallingEdge, RisingEdge

from rtl.spec.formats import FORMATS
from rtl.spec.isa import WeightFormat
from rtl.spec.numbers import GROUP, LANE_BYTES
from rtl.spec.sparse_modes import INDEX_BITS, MODES, SLOTS, Mode

from ...harness.bench import Sink, Source, case, rng, start
from ...oracles.linear import PRODUCTS
from ..linear._matrix import generator, tables


__all__ = ["Steps", "kinds", "tests"]


PLANES = "U1", "U2", "U3", "TERNARY"  # formats whose codes are planes, to a core that takes them
ADVERSITY = [((0, 0), 0), ((0.5, 0), 0), ((0, 0.5), 0.3), ((0.3, 0.3), 0.6)]  # gaps, and stalls


def kinds(core):
    """(format, mode) of the steps that a core may be given.

    Formats that it does not take as they are packed come expanded: ternary ones as nibbles, sparse
    ones as S8.
    """
    modes = [Mode.DENSE, *(MODES[pattern] for pattern in core.config.patterns)]
    nibbles = {fmt for fmt in core.config.weight_formats if FORMATS[fmt].verilog_expanded}
    if WeightFormat.U4 not in core.native:
        nibbles = set()
    return [
        (fmt, mode)
        for fmt in sorted(core.native | nibbles, key=lambda f: f.value)
        for mode in (modes if FORMATS[fmt].sparse else [Mode.ZERO])
    ]


def draw(gen, low, high, shape, edge):
    """Integers up to `high`, all of them extremes with the probability `edge`, or each for itself.

    Extremes are the same along a row, or alternate along it.
    """
    if gen.random() < edge:
        value = gen.choice([low, high], shape[:-1] + (1,))
        turn = np.arange(shape[-1]) % 2 if gen.random() < 0.5 else 0
        return np.where(turn, low + high - value, np.broadcast_to(value, shape))
    return np.where(
        gen.random(shape) < 0.2, gen.choice([low, high], shape), gen.integers(low, high + 1, shape)
    )


def word(rows):
    """Bytes of rows, the first one lowest, as an integer."""
    return int.from_bytes(np.ascontiguousarray(rows, np.uint8).tobytes(), "little")


def fields(values, bits):
    """Fields of lanes (lanes, count), low ones first, as the bits of a beat."""
    split = np.asarray(values)[..., None] >> np.arange(bits) & 1
    packed = np.packbits(split.reshape(len(values), -1).astype(np.uint8), -1, bitorder="little")
    return word(np.pad(packed, [(0, 0), (0, LANE_BYTES - packed.shape[1])]))


def dense(its, native, lanes, gen, edge):
    """A dense step: bits of its codes, those beyond nibbles, and its integers (row, element)."""
    rows = its.step_rows * lanes if native else lanes
    codes = draw(gen, its.low, its.high, (rows, its.elements), edge).astype(its.dtype)
    raw = its.step_bytes if native else its.expanded_bytes
    raw = raw(codes.view(np.uint8)).copy()
    # What lies behind a row's codes belongs to another step.
    used = min(its.code_bits * its.elements // 8, raw.shape[1]) or raw.shape[1]
    raw[:, used:] = gen.integers(0, 256, raw[:, used:].shape)
    high = its.step_high(codes.view(np.uint8))
    return word(raw), word(high), its.grid(codes).astype(int)


def sparse(its, mode, lanes, gen, edge):
    """A code beat: the bits of its codes and index, and its integers (row, element), rows of all
    lanes after each other."""
    count = its.lane_slots
    codes = draw(gen, its.low, its.high, (lanes, count), edge)
    index = draw(gen, 0, (1 << INDEX_BITS[mode]) - 1, (lanes, count), edge)
    slot = np.broadcast_to(np.arange(count) % SLOTS[mode], (lanes, count))
    element = {Mode.DENSE: slot, Mode.PAIRS: 4 * (slot // 2) + index}.get(mode, index)
    weights = np.zeros((lanes, count // SLOTS[mode], its.elements), np.int64)
    lane, row = np.arange(lanes)[:, None], np.arange(count) // SLOTS[mode]
    np.add.at(weights, (lane, row, element), codes)  # more than one slot may name an element
    return (
        fields(codes, its.code_bits),
        fields(index, INDEX_BITS[mode]),
        weights.swapaxes(0, 1).reshape(-1, its.elements),
    )


def pieces(value, bits, parts):
    """Parts of `value`, of `bits` bits: each has some of the lower half, and as many of the
    upper."""
    split = np.array([value >> n & 1 for n in range(bits)], np.uint8)
    return split.reshape(2, parts, -1).swapaxes(0, 1).reshape(parts, -1)


def as_integers(parts):
    """Integers of bits (part, bit), low ones first."""
    return [
        word(
            np.packbits(np.append(part, [0] * (-len(part) % 8)).astype(np.uint8), bitorder="little")
        )
        for part in parts
    ]


def parts_of(its, native, config, codes, high):
    """Codes, and bits beyond them, of each part of a step; of planes, those of each plane."""
    parts, bits = config.parts, config.beat_bits
    if parts > 1 and native and its.name in PLANES:
        planes = [pieces(codes >> n & (1 << GROUP) - 1, GROUP, parts) for n in range(0, 128, GROUP)]
        codes = as_integers(np.concatenate(planes, 1))
    else:
        codes = [codes >> bits * n & (1 << bits) - 1 for n in range(parts)]
    highs = as_integers(pieces(high, 2 * GROUP, parts)) if parts > 1 else [high]
    return list(zip(codes, highs))


@dataclass
class Steps:
    """A core on the bench.

    Attributes
    ----------
    dut
        What cocotb gives.
    core : :class:`~rtl.cores.core.LinearCore`
    """

    dut: object
    core: object

    def step(self, gen, fmt, mode, edge=0.3):
        """Operands of each part, and the sums (column, row) of each payload, of the rows that it
        has."""
        core, its = self.core, FORMATS[fmt]
        acts = draw(gen, -128, 127, (core.config.columns, GROUP), edge)
        if its.sparse:
            codes, index, integers = sparse(its, mode, core.config.rows, gen, edge)
            high, bits = 0, its.lane_slots * INDEX_BITS[mode] // core.config.parts
        else:
            codes, high, integers = dense(its, fmt in core.native, core.config.rows, gen, edge)
            index, bits = int(gen.integers(1 << 62)), 8
        depth = integers.shape[1]
        sums = PRODUCTS.expect(integers, acts[:, :depth])
        if its.group < GROUP:  # those of the upper halves, too
            upper = PRODUCTS.expect(integers[:, its.group :], acts[:, its.group :])
            sums = np.concatenate([sums, upper], 1)
        payloads = np.split(sums, range(core.lanes, sums.shape[1], core.lanes), 1)
        cut = parts_of(its, fmt in core.native, core.config, codes, high)
        weights = []
        for part, (codes, high) in enumerate(cut):
            more = {"index": index, "mode": mode.value, "high": high, "part": part}
            if core.config.parts > 1:  # those of the part's slots
                more["index"] = index >> bits * part & (1 << bits) - 1
            weights.append(
                {"codes": codes, "format": fmt.value}
                | {name: more[name] for name in core.weights.p.shape().members if name in more}
            )
        if core.inputs > 1 and depth < GROUP:
            acts = np.tile(acts[:, :depth], 2)  # whoever builds the tables gives them twice
        if core.act_elements == GROUP:
            acts = [acts] * len(cut)
        else:
            acts = acts.reshape(len(acts), 2, len(cut), -1).transpose(2, 0, 1, 3)
            acts = [part.reshape(core.config.columns, -1) for part in acts]
        if core.inputs > 1:
            acts = [tables(part, core.inputs) for part in acts]
        return weights, [part.tolist() for part in acts], [part.tolist() for part in payloads]

    def ends(self, stall=0.0, gaps=(0.0, 0.0)):
        """Sources and sink of the core."""

        def layout(port):
            return port.payload.shape()

        return (
            Source(self.dut, "weights", layout(self.core.weights), gap=gaps[0]),
            Source(self.dut, "acts", layout(self.core.acts), gap=gaps[1]),
            Sink(self.dut, "sums", layout(self.core.sums), stall=stall),
        )

    def send(self, steps, ends):
        """Offer the operands of steps."""
        for n, source in enumerate(ends[:2]):
            cocotb.start_soon(source.send_all([part for step in steps for part in step[n]]))

    async def receive(self, kinds, steps, sink):
        """Take the sums of steps, and compare the rows that they have."""
        for kind, (_, _, payloads) in zip(kinds, steps, strict=True):
            assert len(payloads) == self.core.outputs(*kind), kind
            for n, expected in enumerate(payloads):
                got = [column[: len(expected[0])] for column in await sink.receive()]
                assert got == expected, f"{kind}, payload {n}: must be {expected}, not {got}"

    async def check(self, order, steps, **adversity):
        """All sums of steps, and no more."""
        ends = self.ends(**adversity)
        self.send(steps, ends)
        await self.receive(order, steps, ends[2])
        await ends[2].expect_none()

    async def random_stalls(self):
        """Every kind of step after every other one, and then in any order."""
        every = kinds(self.core)
        order = [kind for pair in product(every, repeat=2) for kind in pair]
        await start(self.dut)
        for gaps, stall in ADVERSITY:
            gen = generator(rng(f"{gaps} {stall}"))
            steps = [self.step(gen, *kind) for kind in order]
            await self.check(order, steps, stall=stall, gaps=gaps)
            order = [every[n] for n in gen.integers(len(every), size=100)]

    async def extremes(self):
        """All codes and activations at one end or the other."""
        gen = generator(rng())
        await start(self.dut)
        order = [kind for kind in kinds(self.core) for _ in range(16)]
        await self.check(order, [self.step(gen, *kind, edge=1) for kind in order])

    async def latency_and_throughput(self):
        """Sums come `latency` cycles after the operands of the last part; a step takes as many
        cycles as it has passes.
        """
        core, gen, count = self.core, generator(rng()), 10
        await start(self.dut)
        self.dut.sums__ready.value = 1
        for kind in kinds(core):
            ends = self.ends()
            self.dut.sums__ready.value = 1
            self.send([self.step(gen, *kind) for _ in range(count)], ends)
            seen, passes = [], core.passes(*kind)
            for _ in range(core.latency + count * passes + 3):
                await FallingEdge(self.dut.clk)
                seen.append(int(self.dut.sums__valid.value))
            # The last of the passes that make up a payload completes it.
            each = passes // core.outputs(*kind)
            wanted = ([0] * (each - 1) + [1]) * (count * passes // each)
            assert seen == [0] * core.latency + wanted + [0] * 3, (kind, seen)
            await RisingEdge(self.dut.clk)

    async def fills_up_and_drains(self):
        """When no sums are taken, as many steps are as there is room for their payloads; none is
        lost.
        """
        core, gen = self.core, generator(rng())
        await start(self.dut)
        for kind in kinds(core):
            count = core.capacity // core.outputs(*kind) + 8
            steps, ends = [self.step(gen, *kind) for _ in range(count)], self.ends()
            self.dut.sums__ready.value = 0
            self.send(steps, ends)
            for _ in range(3 * core.capacity * core.passes(*kind)):
                await RisingEdge(self.dut.clk)
            # The last payloads of a step may have no room: then it is not taken yet.
            taken = core.capacity // core.outputs(*kind)
            assert ends[0].count == taken * core.config.parts, kind
            await self.receive([kind] * count, steps, ends[2])
            await ends[2].expect_none()


TESTS = ("random_stalls", "extremes", "latency_and_throughput", "fills_up_and_drains")


def tests(cases):
    """The tests of a bench of cores, by name; `cases` are its cases, functions that make a core."""

    def test(name):
        async def run(dut):
            await getattr(Steps(dut, cases[case()]()), name)()

        run.__name__ = run.__qualname__ = name
        return cocotb.test(run)

    return {name: test(name) for name in TESTS}
