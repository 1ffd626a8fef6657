"""Vector unit with its memory: sequences of instructions, and functions of models."""

import cocotb
import numpy as np
from amaranth import *
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped
from cocotb.triggers import FallingEdge, RisingEdge, gather

from rtl.config import Config, get
from rtl.isa import Dest, Func, Quant, Vector
from rtl.layouts import ActivationWrite, Dispatched, Quantized, vector_write
from rtl.vector.memory import VectorMemory, VectorRead
from rtl.vector.unit import VectorUnit
from sim.bench import Sink, Source, case, get_port, rng, start
from sim.oracles.vector import (DOT, ELEMENTWISE, QUANTIZE, RECIPROCALS, RMS_NORM, ROTARY, SILU)
from sim.patterns import EDGES, pattern
from sw_ref import numerics
from sw_ref.sequences import RECIPROCAL, SILU_GATE, norm_scale


class VectorSystem(wiring.Component):
    """Vector unit and memory; a second writer `fill`, and reading by `peek` while not busy."""
    def __init__(self, config):
        self.config = config
        super().__init__({
            "insn":  In(stream.Signature(Dispatched)),
            "busy":  Out(1),
            "act":   Out(stream.Signature(ActivationWrite(config))),
            "query": Out(stream.Signature(Quantized(config))),
            "kv":    Out(stream.Signature(Quantized(config))),
            "fill":  In(stream.Signature(vector_write(config))),
            "peek":  In(VectorRead(config)),
        })

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
            unit.a.data.eq(memory.a.data),
            self.peek.data.eq(memory.a.data),
            memory.a.line.eq(Mux(unit.busy, unit.a.line, self.peek.line)),
            memory.a.en.eq(Mux(unit.busy, unit.a.en, self.peek.en)),
        ]
        return m


CONFIGS = {
    "small":  get("small"),
    "narrow": Config(name="narrow", beat_bits=128, columns=1, lanes=2, vector_words=256),
    "broad":  Config(name="broad", beat_bits=512, columns=1, lanes=16, vector_words=1024,
                     head_dim=128),
}
CASES = {name: lambda config=config: VectorSystem(config) for name, config in CONFIGS.items()}

TERNARY = (Func.MADD, Func.NMADD)
EPS = 1e-5      # of an RMS norm


def numbers(random, count, near_only=False):
    """fp32 patterns: mostly of similar size, so that sums and products keep their meaning.

    With others, more than the memory of a machine ever holds.
    """
    magic = int(np.float32(numerics.MAGIC).view(np.uint32))
    near = np.float32([random.gauss(0, 1) for _ in range(count)]).view(np.uint32)
    kinds = [lambda n: near[n]] * 7 + [lambda n: magic + random.randrange(-140, 140)]
    if not near_only:
        kinds += [lambda n: random.choice(EDGES), lambda n: random.getrandbits(32)]
    return np.array([random.choice(kinds)(n) for n in range(count)], np.uint32)


class Model:
    """The machine, as the oracles have it. `words` are patterns."""
    def __init__(self, config):
        self.config = config
        self.words = np.zeros(config.vector_words, np.uint32)

    def index(self, insn, name):
        """Addresses of an operand's or of the result's elements, (outer, inner)."""
        inner = self.config.lanes if name == "d" and insn.func == Func.DOT else insn.inner
        i = np.arange(inner) % (self.config.lanes if getattr(insn, f"{name}_fill", 0) else 1 << 14)
        o = np.arange(insn.outer)[:, None]
        return getattr(insn, name) + o * getattr(insn, f"{name}_stride") + i

    def operand(self, insn, name):
        if getattr(insn, f"{name}_const", 0):
            shape = insn.outer, insn.inner
            return np.full(shape, getattr(insn, f"{name}_value"), np.uint32).view(np.float32)
        return self.words[self.index(insn, name)].view(np.float32)

    def vector(self, insn):
        a, b, c = (self.operand(insn, name) for name in "abc")
        d = np.repeat(DOT.expect(a, b)[:, None], self.config.lanes, 1) if insn.func == Func.DOT \
            else ELEMENTWISE.expect(insn.func, a, b, c)
        for line, values in zip(self.index(insn, "d"), d.view(np.uint32)):
            self.words[line] = values

    def quant(self, insn):
        """Payloads that go to the destination."""
        lanes = self.config.lanes
        at = insn.a + np.arange(insn.outer)[:, None] * insn.stride + np.arange(insn.inner)
        group = numerics.GROUP if insn.dest == Dest.ACT else self.config.head_dim
        q, exponents = QUANTIZE.expect(self.words[at].view(np.float32), group,
                                       16 if insn.dest == Dest.QUERY else 8)
        per_group = group // lanes
        for n, values in enumerate(q.reshape(-1, lanes)):
            payload = {"values": values.tolist(),
                       "exponent": int(exponents.reshape(-1)[n // per_group])}
            if insn.dest == Dest.ACT:
                payload |= {"group": insn.act + n // per_group, "column": insn.column,
                            "clear": int(n == 0)}
            yield payload | {"last": int(n % per_group == per_group - 1)}

    def allowed(self, insn):
        """No element is read after, or shortly before, the instruction overwrites it."""
        lanes = self.config.lanes
        steps = np.arange(insn.outer * insn.inner // lanes).reshape(insn.outer, -1)
        d = self.index(insn, "d")[:, ::lanes]
        written = {}
        for line, step in zip(d.flat, (steps[:, -1:] if insn.func == Func.DOT else steps).flat):
            written.setdefault(line, step)
        return all(written.get(line, step) >= step for name in "abc"
                   for line, step in zip(self.index(insn, name)[:, ::lanes].flat, steps.flat))


def vector(random, model, func, space, longest):
    """A random instruction within the first `space` words."""
    lanes = model.config.lanes
    while True:
        lines = random.choice([1, 2, 3, 64 // lanes - 1, 64 // lanes, 64 // lanes + 1,
                               random.randrange(1, longest + 1)])
        outer = random.choice([1, 1, 2, 3, 5])
        fields = {"func": func, "outer": outer, "inner": lines * lanes,
                  "b_const": random.random() < 0.3, "c_const": random.random() < 0.3,
                  "b_value": int(numbers(random, 1)[0]), "c_value": int(numbers(random, 1)[0])}
        for name in "abcd":
            fields[name] = random.randrange(space // lanes) * lanes
            stride = random.choice([0, 1, lines, lines + 1, random.randrange(20)]) * lanes
            fields[f"{name}_stride"] = stride
            if name != "d":
                fields[f"{name}_fill"] = random.random() < 0.25
        if func != Func.DOT and random.random() < 0.4:
            operand = random.choice("abc")
            fields |= {"d": fields[operand], "d_stride": lines * lanes,
                       f"{operand}_stride": lines * lanes, f"{operand}_fill": 0}
        insn = Vector(**{name: value if isinstance(value, Func) else int(value)
                         for name, value in fields.items()})
        if all(model.index(insn, name).max() < space for name in "abcd") and model.allowed(insn):
            return insn


def quant(random, model, space):
    """A random Quant within the first `space` words."""
    config = model.config
    dest = random.choice(list(Dest))
    group = numerics.GROUP if dest == Dest.ACT else config.head_dim
    while True:
        insn = Quant(dest=dest, outer=random.randrange(1, 4), inner=random.randrange(1, 4) * group,
                     a=random.randrange(space // config.lanes) * config.lanes,
                     stride=random.choice([0, group, 3 * config.lanes]),
                     act=random.randrange(config.act_groups), column=random.randrange(16))
        at = insn.a + np.arange(insn.outer)[:, None] * insn.stride + np.arange(insn.inner)
        if at.max() < space:
            return insn


async def fill(source, model, first, patterns):
    """Write patterns to the memory, and to the model."""
    lanes = model.config.lanes
    model.words[first:first + len(patterns)] = patterns
    await source.send_all({"line": first // lanes + n, "mask": (1 << lanes) - 1,
                           "data": line.tolist()}
                          for n, line in enumerate(patterns.reshape(-1, lanes)))


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
        got = [bits >> 32 * n & 0xffffffff for n in range(lanes)]
        want = model.words[line * lanes:(line + 1) * lanes].tolist()
        assert got == want, (f"line {line} must be {[hex(w) for w in want]}, "
                             f"not {[hex(w) for w in got]}")
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
    space = min(config.vector_words // 4 * 3, 1024)
    await start(dut)
    filler = Source(dut, "fill", vector_write(config), gap=0)
    await fill(filler, model, 0, np.zeros(config.vector_words, np.uint32))
    for gap, stall in [(0, 0), (0.5, 0.3), (0, 0.8), (0.8, 0)]:
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
        sinks = [Sink(dut, dest.name.lower(), layout(config), stall=stall, limit=30000)
                 for dest, layout in ((Dest.ACT, ActivationWrite), (Dest.QUERY, Quantized),
                                      (Dest.KV, Quantized))]
        await gather(
            Source(dut, "insn", Dispatched, gap=gap, limit=30000)
            .send_all([dispatched(insn) for insn in insns]),
            fill(filler, model, space, noise),
            *(sink.expect_all(runs) for sink, runs in zip(sinks, expected.values())))
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
    for func in Func:
        edges = random.choices(EDGES, k=size // 2)
        for operand in range(3):
            await fill(filler, model, operand * size,
                       np.concatenate([np.array(random.sample(edges, len(edges)), np.uint32),
                                       numbers(random, size // 2)]))
        for lines in (1, size // config.lanes):
            each = Vector(func=func, outer=1, inner=lines * config.lanes, a=0, b=size, c=2 * size,
                          d=3 * size, a_stride=0, b_stride=0, c_stride=0, d_stride=0)
            model.vector(each)
            await insn.send(dispatched(each))
            await idle(dut)
            last = model.index(each, "d").max() // config.lanes * config.lanes
            await compare(dut, model, last, last + config.lanes)
            await compare(dut, model, 3 * size, 4 * size)


@cocotb.test()
async def around_the_limits(dut):
    """SCALE to the exponents at which it flushes and saturates, CLAMP to the next magnitudes."""
    config, random = CONFIGS[case()], rng("limits")
    model = Model(config)
    size = config.vector_words // 8 if config.vector_words < 1024 else 256
    await start(dut)
    filler, insn = Source(dut, "fill", vector_write(config)), Source(dut, "insn", Dispatched)
    for func in (Func.SCALE, Func.NSCALE, Func.CLAMP):
        a = [pattern(random) for _ in range(size)]
        if func == Func.CLAMP:
            other = [max((x & 0x7fffffff) + random.choice([-1, 0, 1]), 0) & 0x7fffffff for x in a]
        else:
            moves = [random.choice([-1, 0, 1, 2, 253, 254, 255, 256]) - (x >> 23 & 255) for x in a]
            other = [(n if func == Func.SCALE else -n) & 0x3ff for n in moves]
        # What the function does not look at is anything.
        other = [x | random.getrandbits(32) & (1 << 31 if func == Func.CLAMP else ~0x3ff)
                 for x in other]
        noise = [pattern(random) for _ in range(size)]
        operands = (a, other, noise) if func == Func.CLAMP else (a, noise, other)
        for n, operand in enumerate(operands):
            await fill(filler, model, n * size, np.array(operand, np.uint32))
        each = Vector(func=func, outer=1, inner=size, a=0, b=size, c=2 * size, d=3 * size,
                      a_stride=0, b_stride=0, c_stride=0, d_stride=0)
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
    steps = 64 // lanes
    reduce = 7 * 4 + steps - 1 + lanes.bit_length() - 1
    for func in Func:
        for outer, lines in ((1, 1), (2, 3), (0, 3), (3, 0)):
            insn = Vector(func=func, outer=outer, inner=lines * lanes)
            count = outer * lines
            if not count:
                promised = 2
            elif func == Func.DOT:
                promised = count + 1 + outer * (6 + reduce)
            else:
                promised = count + (11 if func in TERNARY else 5)
            await source.send(dispatched(insn))    # Accepted at the edge that this returns at.
            for cycle in range(promised):
                await FallingEdge(dut.clk)
                ready = int(get_port(dut, "insn.ready").value)
                assert int(dut.busy.value) == 1 - ready
                assert ready == (cycle == promised - 1), f"{insn}: {cycle + 1} cycles"
            await RisingEdge(dut.clk)


def functions(random, length):
    """Functions of models on vectors: steps, as the mapper emits them; the values that they start
    with; and the results that must come of them, by name."""
    def values(*edges):
        x = random.standard_normal(length) * 10.0 ** random.uniform(-3, 3)
        x[:len(edges)] = edges
        return x.astype(np.float32)

    x, gain = values(), values()
    yield ([(Func.DOT, "s", "x", "x", None), *norm_scale(length, EPS),
            (Func.MADD, "x", "x", "gain", 0.0), (Func.MADD, "y", "x", "r", 0.0)],
           {"x": x, "gain": gain}, {"y": RMS_NORM.expect(x, gain, EPS)})
    gate, up = values(0, -0.0, 80, -80, 81, -100, 1e30, -1e30, 1e-38, 1e-45), values()
    yield SILU_GATE, {"g": gate, "up": up, "s": np.ones_like(up)}, {"g": SILU.expect(gate, up)}
    low, high, angle = values(), values(), random.uniform(-np.pi, np.pi, length)
    cos, sin = (f(angle).astype(np.float32) for f in (np.cos, np.sin))
    yield ([(Func.NMADD, "u", "high", "sin", 0.0), (Func.MADD, "t", "low", "sin", 0.0),
            (Func.MADD, "low", "low", "cos", "u"), (Func.MADD, "high", "high", "cos", "t")],
           {"low": low, "high": high, "cos": cos, "sin": sin},
           dict(zip(("low", "high"), ROTARY.expect(low, high, cos, sin))))
    d = (2.0 ** random.uniform(-126, 124, length)).astype(np.float32)
    yield RECIPROCAL, {"d": d}, {"r": RECIPROCALS.expect(d)}


def instructions(steps, places, length, lanes):
    """Vector instructions of steps. What comes of a DOT is one line, and so is what comes of it."""
    lines = set()
    for func, result, *operands in steps:
        if func == Func.DOT or set(operands) & lines and not set(operands) & set(places) - lines:
            lines.add(result)
        inner = lanes if result in lines and func != Func.DOT else length
        fields = {"func": func, "outer": 1, "inner": inner, "d": places[result]}
        for name, operand in zip("abc", operands):
            if isinstance(operand, str):
                fields |= {name: places[operand], f"{name}_fill": int(operand in lines)}
            elif operand is not None:
                fields |= {f"{name}_const": 1, f"{name}_value": int(np.float32(operand).view(np.uint32))}
        yield Vector(**fields)


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
            await fill(filler, model, at, values.get(name, np.zeros(length, np.float32)).view(np.uint32))
        for each in instructions(steps, places, length, config.lanes):
            model.vector(each)
            await insn.send(dispatched(each))
        await idle(dut)
        for name, want in results.items():
            got = model.words[places[name]:][:length]
            assert np.array_equal(got, want.view(np.uint32)), f"{name}: steps and function differ"
            await compare(dut, model, places[name], places[name] + length)
