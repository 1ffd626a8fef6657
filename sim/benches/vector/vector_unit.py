"""Vector unit with its memory: sequences of instructions, and functions of models."""

from itertools import product

import cocotb
import numpy as np
from amaranth import *
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped
from cocotb.triggers import FallingEdge, RisingEdge, gather

from rtl.spec.config import Config, get
from rtl.spec.isa import Dest, Func, Vector
from rtl.spec.limits import REPETITIONS
from rtl.spec.payloads import ActivationWrite, Dispatched, Quantized, vector_write
from rtl.vector.memory import VectorMemory, VectorRead
from rtl.vector.reduce import PARTIAL_SUMS, Reduce
from rtl.vector.unit import VectorUnit
from sim.harness.bench import Sink, Source, case, get_port, rng, start
from sim.harness.patterns import EDGES, pattern

from ._vector import Model, functions, instructions, numbers, quant, vector


class VectorSystem(wiring.Component):
    """Vector unit and memory; a second writer `fill`, and reading by `peek` while not busy."""

    def __init__(self, config):
        self.config = config
        super().__init__(
            {
                "insn": In(stream.Signature(Dispatched)),
                "busy": Out(1),
                "act": Out(stream.Signature(ActivationWrite(config))),
                "query": Out(stream.Signature(Quantized(config))),
                "kv": Out(stream.Signature(Quantized(config))),
                "fill": In(stream.Signature(vector_write(config))),
                "peek": In(VectorRead(config)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.unit = unit = VectorUnit(self.config)
        m.submodules.memory = memory = VectorMemory(self.config, 2)
        connect(m, unit.write, memory.writers[0])
        connect(m, flipped(self.fill), memory.writers[1])
        for name in ("insn", "act", "query", "kv"):
            connect(m, flipped(getattr(self, name)), getattr(unit, name))
        for name in "bc":
            connect(m, getattr(unit, name), getattr(memory, name))
        m.d.comb += [
            self.busy.eq(unit.busy),
            unit.waiting.eq(memory.waiting),
            unit.a.data.eq(memory.a.data),
            self.peek.data.eq(memory.a.data),
            memory.a.line.eq(Mux(unit.busy, unit.a.line, self.peek.line)),
            memory.a.en.eq(Mux(unit.busy, unit.a.en, self.peek.en)),
        ]
        return m


CONFIGS = {
    "small": get("small"),
    "narrow": Config(name="narrow", beat_bits=128, columns=1, lanes=2, vector_words=256),
    "broad": Config(
        name="broad",
        beat_bits=512,
        columns=1,
        lanes=16,
        vector_words=1024,
        act_groups=1024,
        head_dim=256,
    ),
}
CASES = {name: lambda config=config: VectorSystem(config) for name, config in CONFIGS.items()}


async def fill(source, model, first, patterns):
    """Write patterns to the memory, and to the model."""
    lanes = model.config.lanes
    model.words[first : first + len(patterns)] = patterns
    await source.send_all(
        {"line": first // lanes + n, "mask": (1 << lanes) - 1, "data": line.tolist()}
        for n, line in enumerate(patterns.reshape(-1, lanes))
    )


async def compare(dut, model, first=0, count=None):
    """Check the memory's contents. The first line is read in the cycle after this one."""
    lanes = model.config.lanes
    get_port(dut, "peek.en").value = 1
    for line in range(first // lanes, (count or len(model.words)) // lanes):
        await RisingEdge(dut.clk)
        get_port(dut, "peek.line").value = line
        await RisingEdge(dut.clk)
        await FallingEdge(dut.clk)
        bits = int(get_port(dut, "peek.data").value)
        got = [bits >> 32 * n & 0xFFFFFFFF for n in range(lanes)]
        want = model.words[line * lanes : (line + 1) * lanes].tolist()
        assert got == want, (
            f"line {line} must be {[hex(w) for w in want]}, not {[hex(w) for w in got]}"
        )
    get_port(dut, "peek.en").value = 0


async def idle(dut, limit=20000):
    """Wait for the falling edge of the first cycle that is not busy."""
    for _ in range(limit):
        await FallingEdge(dut.clk)
        if not int(dut.busy.value):
            return
    raise AssertionError(f"still busy after {limit} cycles")


def dispatched(insn):
    return {"word": insn.encode(), "pc": 0}


@cocotb.test()
async def sequences(dut):
    """Random dependent instructions, while another writer is active."""
    config, random = CONFIGS[case()], rng("sequences")
    model = Model(config)
    whole = config.vector_words // 4 * 3
    near = min(whole, 1024)  # where instructions often meet
    await start(dut)
    filler = Source(dut, "fill", vector_write(config), gap=0)
    await fill(filler, model, 0, np.zeros(config.vector_words, np.uint32))
    for gap, stall, space in [(0, 0, near), (0.5, 0.3, whole), (0, 0.8, near), (0.8, 0, whole)]:
        await fill(filler, model, 0, numbers(random, space, near_only=gap == 0))
        insns = []
        expected = {dest: [] for dest in Dest}
        for _ in range(40):
            if random.random() < 0.25:
                insn = quant(random, model, space)
                expected[insn.dest] += model.quant(insn)
            else:
                insn = vector(random, model, random.choice(list(Func)), space, 40)
                model.vector(insn)
            insns.append(insn)
        noise = numbers(random, (config.vector_words - space) // 4)
        sinks = [
            Sink(dut, dest.name.lower(), layout(config), stall=stall, limit=30000)
            for dest, layout in (
                (Dest.ACT, ActivationWrite),
                (Dest.QUERY, Quantized),
                (Dest.KV, Quantized),
            )
        ]
        await gather(
            Source(dut, "insn", Dispatched, gap=gap, limit=30000).send_all(
                [dispatched(insn) for insn in insns]
            ),
            fill(filler, model, space, noise),
            *(sink.expect_all(runs) for sink, runs in zip(sinks, expected.values())),
        )
        await idle(dut)
        await compare(dut, model)


@cocotb.test()
async def every_function(dut):
    """Each function on edge values and random ones; results can be read as soon as not busy."""
    config, random = CONFIGS[case()], rng("functions")
    model = Model(config)
    await start(dut)
    filler, insn = Source(dut, "fill", vector_write(config)), Source(dut, "insn", Dispatched)
    await fill(filler, model, 0, np.zeros(config.vector_words, np.uint32))
    size = config.vector_words // 8 if config.vector_words < 1024 else 256
    results = config.vector_words - size
    for func in Func:
        edges = random.choices(EDGES, k=size // 2)
        for operand in range(3):
            await fill(
                filler,
                model,
                operand * size,
                np.concatenate(
                    [
                        np.array(random.sample(edges, len(edges)), np.uint32),
                        numbers(random, size // 2),
                    ]
                ),
            )
        for lines in (1, size // config.lanes):
            each = Vector(
                func=func,
                outer=1,
                inner=lines * config.lanes,
                a=0,
                b=size,
                c=2 * size,
                d=results,
                a_stride=0,
                b_stride=0,
                c_stride=0,
                d_stride=0,
            )
            model.vector(each)
            await insn.send(dispatched(each))
            await idle(dut)
            last = model.index(each, "d").max() // config.lanes * config.lanes
            await compare(dut, model, last, last + config.lanes)
            await compare(dut, model, results)


@cocotb.test()
async def around_the_limits(dut):
    """SCALE to the exponents at which it flushes and saturates, CLAMP to the next magnitudes."""
    config, random = CONFIGS[case()], rng("limits")
    model = Model(config)
    size = config.vector_words // 8 if config.vector_words < 1024 else 256
    await start(dut)
    filler, insn = Source(dut, "fill", vector_write(config)), Source(dut, "insn", Dispatched)
    for func in (Func.SCALE, Func.NSCALE, Func.NSCALE1, Func.CLAMP):
        a = [pattern(random) for _ in range(size)]
        if func == Func.CLAMP:
            other = [max((x & 0x7FFFFFFF) + random.choice([-1, 0, 1]), 0) & 0x7FFFFFFF for x in a]
        else:
            moves = [random.choice([-1, 0, 1, 2, 253, 254, 255, 256]) - (x >> 23 & 255) for x in a]
            other = [(n if func == Func.SCALE else -n) & 0x3FF for n in moves]
        # What the function does not look at is anything.
        other = [
            x | random.getrandbits(32) & (1 << 31 if func == Func.CLAMP else ~0x3FF) for x in other
        ]
        noise = [pattern(random) for _ in range(size)]
        operands = (a, other, noise) if func == Func.CLAMP else (a, noise, other)
        for n, operand in enumerate(operands):
            await fill(filler, model, n * size, np.array(operand, np.uint32))
        each = Vector(
            func=func,
            outer=1,
            inner=size,
            a=0,
            b=size,
            c=2 * size,
            d=3 * size,
            a_stride=0,
            b_stride=0,
            c_stride=0,
            d_stride=0,
        )
        model.vector(each)
        await insn.send(dispatched(each))
        await idle(dut)
        await compare(dut, model, 3 * size, 4 * size)


@cocotb.test()
async def takes_as_long_as_promised(dut):
    """The cycles from instruction to instruction that :class:`VectorUnit` documents."""
    config = CONFIGS[case()]
    lanes = config.lanes
    await start(dut)
    source = Source(dut, "insn", Dispatched, gap=0)
    slots, folding = PARTIAL_SUMS // lanes, Reduce(lanes).latency
    shapes = (1, 1), (2, 3), (0, 3), (3, 0), (1, 40)
    for func, (outer, lines) in [*product(Func, shapes), (Func.MADD, (REPETITIONS, 1))]:
        for stride in (0, lines * lanes):
            insn = Vector(func=func, outer=outer, inner=lines * lanes, d_stride=stride)
            count = outer * lines
            if not count:
                promised = busy = 2
            elif func == Func.DOT:
                promised = busy = count + 1 + outer * (5 + folding + max(slots - lines, 0))
            else:
                busy = count + 11
                promised = max(count + 1, 12) if stride or outer == 1 else busy
            await source.send(dispatched(insn))  # Accepted at the edge that this returns at.
            for cycle in range(1, busy + 1):
                await FallingEdge(dut.clk)
                assert int(dut.busy.value) == (cycle < busy), f"{insn}: {cycle} cycles"
                ready = int(get_port(dut, "insn.ready").value)
                assert ready == (cycle >= promised), f"{insn}: {cycle} cycles"
            await RisingEdge(dut.clk)


@cocotb.test()
async def waits_for_what_it_reads(dut):
    """Chains of instructions that read what the one before writes, at every distance."""
    config, random = CONFIGS[case()], rng("chains")
    model, lanes = Model(config), config.lanes
    await start(dut)
    filler = Source(dut, "fill", vector_write(config), gap=0)
    insn = Source(dut, "insn", Dispatched, gap=0, limit=30000)
    room = config.vector_words // 2
    for outer, lines in [(1, 1), (1, 12), (1, 16), (3, 4), (2, 6), (5, 1)]:
        await fill(filler, model, 0, numbers(random, config.vector_words, near_only=True))
        insns = []
        for distance in range(-4, 13):
            func = random.choice([func for func in Func if func != Func.DOT])
            stride = (lines + random.randrange(3) * (outer > 1)) * lanes
            for source, target in ((0, room), (room, 0)):
                each = Vector(
                    func=func,
                    outer=outer,
                    inner=lines * lanes,
                    d=target + 4 * lanes,
                    d_stride=stride,
                    a=source + (4 + distance) * lanes,
                    a_stride=stride,
                    b=source + 4 * lanes,
                    b_fill=random.getrandbits(1),
                    c_const=1,
                )
                model.vector(each)
                insns.append(dispatched(each))
        await insn.send_all(insns)
        await idle(dut)
        await compare(dut, model)


@cocotb.test()
async def functions_of_models(dut):
    """RMS norm, SiLU gate, rotary embedding and reciprocal, step by step."""
    config, random = CONFIGS[case()], np.random.default_rng(rng("models").getrandbits(32))
    model, length = Model(config), 64 if config.vector_words >= 1024 else 32
    await start(dut)
    filler, insn = Source(dut, "fill", vector_write(config)), Source(dut, "insn", Dispatched)
    for steps, values, results in [f for _ in range(4) for f in functions(random, length)]:
        names = dict.fromkeys([*values, *(result for _, result, *_ in steps)])
        places = {name: n * length for n, name in enumerate(names)}
        for name, at in places.items():
            value = values.get(name, np.zeros(length, np.float32))
            await fill(filler, model, at, value.view(np.uint32))
        for each in instructions(steps, places, length, config.lanes):
            model.vector(each)
            await insn.send(dispatched(each))
        await idle(dut)
        for name, want in results.items():
            got = model.words[places[name] :][:length]
            assert np.array_equal(got, want.view(np.uint32)), f"{name}: steps and function differ"
            await compare(dut, model, places[name], places[name] + length)
