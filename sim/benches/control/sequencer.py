"""Sequencer: random programs against a few lines of Python, and every fault."""

from dataclasses import fields, replace

import cocotb
from cocotb.triggers import FallingEdge, RisingEdge

from rtl.control.sequencer import Sequencer
from rtl.spec.config import Config, get
from rtl.spec.csr import TOKENS, FaultCode
from rtl.spec.isa import (
    REGISTERS,
    Halt,
    Insn,
    Load,
    Loop,
    Op,
    Quant,
    Scalar,
    Source as From,
    Sync,
    Token,
    Unit,
    Vector,
)
from rtl.spec.limits import LOOP_DEPTH
from rtl.spec.payloads import Dispatched
from sim.harness.bench import Sink, case, cycles, get_port, rng, start


CASES = {
    "small": lambda: Sequencer(get("small")),
    "large": lambda: Sequencer(
        Config(name="large", beat_bits=512, columns=16, lanes=16, program_words=4096)
    ),
}
MASK = 0xFFFF_FFFF
SOURCES = {From.POSITION: 0x1234_5678, From.COLUMNS: 3, From.HEAD: 1}
LOADS = list(Unit).index(Unit.LOAD)
TOKEN_VALUES = [0x9E37_79B9 * n & MASK for n in range(TOKENS)]


def expected(program, sources=SOURCES):
    """What each queue gets: lists of (word, pc) by unit."""
    queues = {unit: [] for unit in Unit}
    registers = [0] * 8 + [
        sources.get(From(n), 0) if n in {s.value for s in From} else 0 for n in range(8, 16)
    ]

    def run(pc, end):
        while pc < end:
            match insn := program[pc]:
                case Halt():
                    return
                case Loop(length=length, count=count, source=source):
                    for _ in range(count + registers[source] & MASK):
                        run(pc + 1, pc + 1 + length)
                    pc += length
                case Scalar(rd=rd):
                    registers[rd] = (
                        (registers[insn.source] >> insn.shift) * insn.factor
                        + insn.offset
                        + registers[insn.plus]
                    ) & MASK
                case Token(rd=rd, source=source):
                    registers[rd] = TOKEN_VALUES[registers[source] % TOKENS]
                case Sync(unit=unit):
                    queues[unit].append((insn.encode(), pc))
                case _:
                    layout = type(insn).layout
                    moved = {
                        f: getattr(insn, f) + registers[getattr(insn, r)]
                        & (1 << layout[f].width) - 1
                        for f, r in insn.relative.items()
                    }
                    queues[Unit(insn.op.value >> 4)].append((replace(insn, **moved).encode(), pc))
            registers[0] = 0
            pc += 1

    run(0, len(program))
    return queues


def random_insn(random, cls):
    def value(f):
        shape = f.metadata["shape"]
        if not isinstance(shape, int):
            return random.choice(list(shape))
        edges = [0, 1, (1 << f.metadata["width"]) - 1]
        return random.choice([*edges, random.getrandbits(f.metadata["width"])])

    return cls(**{f.name: value(f) for f in fields(cls)})


def random_program(random, budget=120):
    units = [cls for op, cls in Insn.by_op.items() if op.value >> 4 or op == Op.SYNC]
    free = [n for n in range(16) if n < 8 or n in {s.value for s in From}]

    def body(depth, size):
        out = []
        while len(out) < size:
            kind = random.random()
            if kind < 0.2 and depth < LOOP_DEPTH:
                inner = body(depth + 1, random.choice([1, 1, 2, 4]))
                # COLUMNS is small: the other registers could hold anything.
                out += [
                    Loop(
                        length=len(inner),
                        count=random.choice([0, 1, 2]),
                        source=random.choice([0, 0, From.COLUMNS.value]),
                    ),
                    *inner,
                    random_insn(random, random.choice(units)),
                ]
            elif kind < 0.45:
                out.append(
                    replace(
                        random_insn(random, Scalar),
                        source=random.choice(free),
                        plus=random.choice(free),
                    )
                )
            elif kind < 0.55:
                out.append(Token(rd=random.randrange(8), source=random.choice(free)))
            else:
                out.append(random_insn(random, random.choice(units)))
        return out

    return [*body(0, budget), Halt()]


async def begin(dut, program, length=None, sources=SOURCES):
    """Reset, load words (or instructions), and start."""
    await start(dut)
    words = [insn if isinstance(insn, int) else insn.encode() for insn in program]

    async def memories():
        while True:
            await FallingEdge(dut.clk)
            index, column = int(dut.index.value), int(dut.token_index.value)
            await RisingEdge(dut.clk)
            dut.word.value = words[index] if index < len(words) else 0
            dut.token.value = TOKEN_VALUES[column]

    task = cocotb.start_soon(memories())
    for n, source in enumerate(From):
        get_port(dut, f"sources.{n}").value = sources[source]
    dut.length.value = len(words) if length is None else length
    dut.idle.value = 1
    dut.start.value = 1
    await cycles(dut)
    dut.start.value = 0
    return task


async def until(dut, signal, value, limit=50000):
    for _ in range(limit):
        await FallingEdge(dut.clk)
        if int(signal.value) == value:
            return
    raise AssertionError(f"{signal._name} is not {value} after {limit} cycles")


async def check(dut, program, sources=SOURCES, stall=0):
    """Run a program to its end, and compare what each queue gets."""
    want = expected(program, sources)
    memories = await begin(dut, program, sources=sources)
    sinks = [
        cocotb.start_soon(
            Sink(dut, f"queues.{n}", Dispatched, stall=stall, limit=50000).expect_all(
                {"word": word, "pc": pc} for word, pc in want[unit]
            )
        )
        for n, unit in enumerate(Unit)
    ]
    for sink in sinks:
        await sink
    await until(dut, dut.busy, 0)
    assert not int(dut.fault.value)
    memories.cancel()


@cocotb.test()
@cocotb.parametrize(stall=[0, 0.5, 0.9], number=range(6))
async def random_programs(dut, stall, number):
    await check(dut, random_program(rng(f"program{number}")), stall=stall)


@cocotb.test()
async def all_bits_of_registers(dut):
    """Of each register, and of each value that the host writes, every bit reaches a unit."""
    random = rng()
    values = [random.getrandbits(32) for _ in range(1, REGISTERS)]
    for flip in (0, MASK, 0):
        program, sources = [], {}
        for n, source in enumerate([*From, *[None] * (REGISTERS - 1 - len(From))], 1):
            value = values[n - 1] ^ flip
            program += [
                Scalar(rd=n, offset=value)
                if source is None
                else Scalar(rd=n, source=source.value, factor=1),
                Load(addr_reg=n),
            ]
            sources |= {source: value}
        await check(dut, [*program, Halt()], sources)


@cocotb.test()
@cocotb.parametrize(depth=range(LOOP_DEPTH))
async def many_rounds(dut, depth):
    """Of a loop around others, or within them; it begins at one place or another."""
    counts = [1] * LOOP_DEPTH
    counts[depth] = 125
    body = [Load(addr=7)]
    for count in counts:  # from the innermost
        body = [Loop(length=len(body), count=count), *body, Load(addr=count)]
    for skipped in (0, 42, 101):
        filler = [Halt()] * skipped
        await check(
            dut, [Loop(length=skipped), *filler, *body, Halt()] if skipped else [*body, Halt()]
        )


@cocotb.test()
async def program_as_long_as_its_memory(dut):
    """The last instruction is fetched, and an outermost loop comes back from there."""
    words = CASES[case()]().config.program_words
    inner = words - 5
    await check(
        dut,
        [
            Loop(length=inner + 3, count=2),
            Loop(length=inner),
            *[Halt()] * inner,
            Load(addr=1),
            Load(addr=2),
            Halt(),
        ],
    )


@cocotb.test()
async def stop_holds_a_program(dut):
    """Nothing more is dispatched while `stop` is high, and a program that goes on misses
    nothing.
    """
    program = [Loop(length=1, count=20), Load(addr=7), Halt()]
    memories = await begin(dut, program)
    sink = Sink(dut, f"queues.{LOADS}", Dispatched, stall=0)
    for _ in range(4):
        await sink.receive()
    dut.stop.value = 1
    # What was fetched before is dispatched.
    taken = 4 + await count_payloads(dut, sink, 20)
    await sink.expect_none(100)
    assert taken in (5, 6), taken
    dut.stop.value = 0
    await sink.receive_all(20 - taken)
    await until(dut, dut.busy, 0, 50)
    memories.cancel()


async def count_payloads(dut, sink, count):
    """How many payloads come within so many cycles."""
    port = get_port(dut, f"{sink.name}.valid")
    get_port(dut, f"{sink.name}.ready").value = 1
    found = 0
    for _ in range(count):
        await FallingEdge(dut.clk)
        found += int(port.value)
    await RisingEdge(dut.clk)
    get_port(dut, f"{sink.name}.ready").value = 0
    return found


@cocotb.test()
async def halt_waits_until_idle(dut):
    memories = await begin(dut, [Load(addr=7), Halt()])
    dut.idle.value = 0
    await Sink(dut, "queues.0", Dispatched).receive()
    await cycles(dut, 50)
    assert int(dut.busy.value)
    dut.idle.value = 1
    await until(dut, dut.busy, 0, 10)
    memories.cancel()


@cocotb.test()
@cocotb.parametrize(added=[0, 1, 4])
async def one_dispatch_every_four_cycles(dut, added):
    """And a cycle more for each register that is added."""
    numbers = {f"{operand}_reg": n + 1 for n, operand in enumerate("abcd"[:added])}
    memories = await begin(dut, [Loop(length=1, count=100), Vector(**numbers), Quant(), Halt()])
    sink = Sink(dut, f"queues.{list(Unit).index(Unit.VECTOR)}", Dispatched, stall=0)
    await sink.receive()
    began = cocotb.utils.get_sim_time("step")
    await sink.receive_all(99)
    assert cocotb.utils.get_sim_time("step") - began == 1000 * 99 * (4 + added) * 10
    memories.cancel()


@cocotb.test()
async def long_loops(dut):
    """A loop goes on when one bit says so of the rounds left; all rounds would take too long."""
    for bit in range(4, Loop.layout["count"].width):
        memories = await begin(dut, [Loop(length=1, count=(1 << bit) + 5), Load(addr=7), Halt()])
        for _ in range(10):  # on the way the bit is the only one
            await Sink(dut, "queues.0", Dispatched, stall=0).receive()
        await cycles(dut, 20)
        assert int(dut.busy.value) and int(get_port(dut, "queues.0.valid").value), bit
        memories.cancel()


def nest(depth):
    """Loops around a Load, each followed by another so that no two end together."""
    out = [Load()]
    for _ in range(depth):
        out = [Loop(length=len(out), count=1), *out, Load()]
    return out


FAULTS = {
    "depth": (nest(LOOP_DEPTH + 1), None, FaultCode.LOOP, LOOP_DEPTH, LOOP_DEPTH),
    "opcode": ([Load(), 0xC7], None, FaultCode.OPCODE, 1, 0xC7),
    "zero": ([0], None, FaultCode.OPCODE, 0, 0),
    "unit": ([Sync(unit=Unit.LOAD).encode() & ~0xF00 | 0xF00], None, FaultCode.OPCODE, 0, 0x08),
    "end": ([Load(), Load(), Halt()], 2, FaultCode.PROGRAM, 2, 2),
    "empty": ([Halt()], 0, FaultCode.PROGRAM, 0, 0),
    "skipped": ([Loop(length=100), Halt()], None, FaultCode.PROGRAM, 101, 2),
    "far": ([Loop(length=0xFFE)], 0xFFF, FaultCode.PROGRAM, 0xFFF, 0xFFF),
    # A register of the program counter's width does not say that it was behind the last word.
    "longest": ([Loop(length=0xFFF)], 0x1000, FaultCode.PROGRAM, 0, 0x1000),
}


@cocotb.test()
@cocotb.parametrize(name=list(FAULTS))
async def faults(dut, name):
    program, length, code, pc, info = FAULTS[name]
    memories = await begin(dut, program, length)
    for n in range(len(Unit)):
        get_port(dut, f"queues.{n}.ready").value = 1
    await until(dut, dut.fault, 1, 1000)
    ports = dut.fault_code, dut.fault_pc, dut.fault_info
    for _ in range(20):
        assert tuple(int(port.value) for port in ports) == (code, pc, info)
        await cycles(dut)
    assert int(dut.busy.value)
    memories.cancel()
    await start(dut)
    held = dut.fault, dut.fault_code, dut.fault_pc, dut.fault_info, dut.busy
    assert not any(int(signal.value) for signal in held)
