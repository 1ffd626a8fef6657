"""The whole accelerator: one program through every unit, faults, and resets at bad moments."""

import logging

import cocotb
import numpy as np
from cocotbext.axi import AxiBus, AxiLiteBus, AxiLiteMaster, AxiRam

from rtl.spec.config import Config, get
from rtl.spec.csr import BEST, COUNTERS, IDENTITY, REGISTERS, FaultCode
from rtl.spec.descriptor import contradictions, fault_info
from rtl.spec.formats import WeightFormat, stream_units
from rtl.spec.isa import (
    Append,
    Attend,
    Dest,
    Embed,
    Halt,
    Load,
    Loop,
    MatMul,
    Quant,
    Scalar,
    Source,
    Stream,
    Sync,
    Token,
    Unit,
    Vector,
)
from rtl.spec.numbers import UNIT_WORDS
from rtl.top import Accelerator
from sim.harness.bench import case, cycles, rng, start
from sim.harness.patterns import patterns
from sim.oracles.program import RUN

from .linear._matrix import Matrix, generator


# With the format of the weights.
CONFIGS = {
    "small": (get("small"), WeightFormat.U4),
    "large": (
        Config(name="large", beat_bits=512, columns=2, lanes=8, queries=2, counters=True),
        WeightFormat.U4,
    ),
    "narrow": (Config(name="narrow", beat_bits=16, columns=1, lanes=4), WeightFormat.U4),
    "lut": (get("small-lut"), WeightFormat.U3),
    "dspchain": (get("small-dspchain"), WeightFormat.SPARSE4),
}
CASES = {name: lambda config=config: Accelerator(config) for name, (config, _) in CONFIGS.items()}
U4 = WeightFormat.U4
UNITS = 1024
PROGRAM, DATA, WEIGHTS, EMBEDDING, CACHE = 16, 64, 128, 384, 640
POSITION, TOKEN = 21, 6
ROWS, GROUPS = 64, 2
ONE = 0x3F800000


def matrices(config, fmt):
    """A matrix of the stream, and an embedding's blocks."""
    gen = generator(rng("matrices"))
    weights, embedding = (
        Matrix.random(config, gen, of, ROWS, GROUPS) for of in (fmt, WeightFormat.S8)
    )
    return [
        b"".join(beat.to_bytes(config.beat_bytes, "little") for beat in beats)
        for beats in (weights.beats, embedding.body)
    ]


def image(config, fmt):
    """Random vectors, weights and KV cache."""
    gen = generator(rng("image"))
    memory = np.zeros(64 * UNITS, np.uint8)
    memory[64 * CACHE :] = gen.integers(0, 256, 64 * (UNITS - CACHE))
    for unit in range(CACHE, UNITS, config.kv_block_units):
        memory[64 * unit : 64 * (unit + 1)] = gen.integers(110, 130, 64)[: len(memory) - 64 * unit]
    memory[64 * DATA : 64 * DATA + 1024] = gen.standard_normal(256).astype("<f4").view(np.uint8)
    for at, packed in zip((WEIGHTS, EMBEDDING), matrices(config, fmt)):
        memory[64 * at : 64 * at + len(packed)] = np.frombuffer(packed, np.uint8)
    return memory


def program(config, fmt):
    """Embed, load, compute, multiply, append, attend, search; all that comes out is appended
    too.
    """
    block = config.kv_block_units
    embedding = stream_units(WeightFormat.S8, UNIT_WORDS, GROUPS, config.word_bytes)
    weights = len(matrices(config, fmt)[0]) // 64
    append = dict(heads=1, position_reg=7)
    return [
        Scalar(rd=7, source=Source.POSITION.value, factor=1),
        Token(rd=1, source=0),
        Scalar(rd=2, source=1, shift=(UNIT_WORDS - 1).bit_length(), factor=embedding),
        Stream(addr=EMBEDDING, size=embedding, addr_reg=2),
        Embed(groups=GROUPS, dst=128, row_reg=1),
        Sync(unit=Unit.LINEAR, give=6),
        Load(addr=DATA, size=8, dst=0),
        Sync(unit=Unit.LOAD, give=1),
        Stream(addr=WEIGHTS, size=weights),
        Stream(addr=WEIGHTS, size=weights),
        Sync(unit=Unit.VECTOR, take=1),
        Sync(unit=Unit.VECTOR, take=6),
        Scalar(rd=3, source=0, factor=1, offset=64),
        Loop(length=2, count=3),
        Vector(outer=1, inner=64, d=0, a=0, b_const=1, b_value=0x3FC00000, c=64, a_reg=3, d_reg=3),
        Vector(outer=1, inner=64, d=192, a=128, b=64, c=64),
        Quant(dest=Dest.ACT, outer=1, inner=64, a=0, a_reg=3),
        Sync(unit=Unit.VECTOR, give=2),
        Quant(dest=Dest.KV, outer=1, inner=64, a=192),
        Append(addr=CACHE, **append),
        Quant(dest=Dest.KV, outer=1, inner=64, a=64),
        Append(addr=CACHE, value=1, **append),
        Quant(dest=Dest.QUERY, outer=1, inner=128, a=0),
        Attend(heads=1, queries=2, addr=CACHE, length=1, dst=256, sums=512, length_reg=7),
        Sync(unit=Unit.ATTENTION, give=4),
        Sync(unit=Unit.LINEAR, take=2),
        MatMul(rows=ROWS, groups=GROUPS, dst=768, stride=ROWS),
        Sync(unit=Unit.LINEAR, give=5),
        MatMul(rows=ROWS, groups=GROUPS, best=1),
        Sync(unit=Unit.VECTOR, take=4),
        Quant(dest=Dest.KV, outer=1, inner=128, a=256),
        Append(addr=CACHE + block, heads=2, stride=block, position_reg=7),
        Sync(unit=Unit.VECTOR, take=5),
        Quant(dest=Dest.KV, outer=1, inner=64, a=768),
        Append(addr=CACHE + block, value=1, **append),
        Halt(),
    ]


def handover(config):
    """Each unit writes, and the vector unit reads the last line as soon as a token says that it is
    there: of as many rounds as make a group of each unit's lines, which are appended.

    The vector unit's own writes go first. So does what it writes right before it takes the first
    token, in each round.
    """
    lanes, block, kept = config.lanes, config.kv_block_units, 1024
    rounds = config.head_dim // lanes
    embedding = stream_units(WeightFormat.S8, UNIT_WORDS, GROUPS, config.word_bytes)

    def copy(a, n):
        """Keep a line, as one of the `n`-th unit's."""
        return Vector(
            outer=1,
            inner=lanes,
            a=a,
            b_const=1,
            b_value=ONE,
            c_const=1,
            d=kept + n * config.head_dim,
            d_reg=2,
        )

    body = [
        Load(addr=DATA, size=1, dst=0, addr_reg=1),
        Sync(unit=Unit.LOAD, give=1),
        Stream(addr=EMBEDDING, size=embedding),
        Embed(groups=GROUPS, dst=64, row_reg=1),
        Sync(unit=Unit.LINEAR, give=2),
        Vector(outer=1, inner=64, d=512, a=512, b_const=1, b_value=ONE, c_const=1),
        Sync(unit=Unit.VECTOR, take=1),
        copy(16 - lanes, 0),
        Sync(unit=Unit.VECTOR, take=2),
        copy(128 - lanes, 1),
        Quant(dest=Dest.QUERY, outer=1, inner=64, a=64),
        Attend(heads=1, queries=1, addr=CACHE + 4 * block, length=3, dst=128, sums=192),
        Sync(unit=Unit.ATTENTION, give=3),
        Sync(unit=Unit.VECTOR, take=3),
        copy(192 - lanes, 2),
        # Now the lines may be written again.
        Sync(unit=Unit.VECTOR, give=4),
        Sync(unit=Unit.LOAD, take=4),
        Sync(unit=Unit.VECTOR, give=5),
        Sync(unit=Unit.LINEAR, take=5),
        Scalar(rd=1, source=1, factor=1, offset=1),
        Scalar(rd=2, source=2, factor=1, offset=lanes),
    ]
    return [
        Scalar(rd=1),
        Scalar(rd=2),
        Load(addr=DATA, size=4, dst=512),
        Sync(unit=Unit.LOAD, give=6),
        Sync(unit=Unit.VECTOR, take=6),
        Loop(length=len(body), count=rounds),
        *body,
        Quant(dest=Dest.KV, outer=1, inner=3 * config.head_dim, a=kept),
        Append(heads=3, addr=CACHE, stride=block),
        Halt(),
    ]


class Host:
    """Registers and DRAM of one accelerator."""

    @classmethod
    async def begin(cls, dut, pause=0):
        logging.getLogger("cocotb.top").setLevel(logging.WARNING)
        await start(dut)
        self = cls()
        self.dut = dut
        self.registers = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "s_axi"), dut.clk, dut.rst)
        self.ram = AxiRam(AxiBus.from_prefix(dut, "m_axi"), dut.clk, dut.rst, size=64 * UNITS)
        random = rng("pauses")
        if pause:
            for channel in (
                self.ram.read_if.ar_channel,
                self.ram.read_if.r_channel,
                self.ram.write_if.aw_channel,
                self.ram.write_if.w_channel,
                self.ram.write_if.b_channel,
            ):
                channel.set_pause_generator(iter(lambda: random.random() < pause, None))
        self.config, self.format = CONFIGS[case()]
        return self

    async def write(self, name, value, n=0):
        await self.registers.write_dword(REGISTERS[name].address + 4 * n, value)

    async def read(self, name, n=0):
        return await self.registers.read_dword(REGISTERS[name].address + 4 * n)

    async def start(self, insns, memory, control=1):
        """Put the program into DRAM, and start."""
        words = b"".join(insn.encode().to_bytes(32, "little") for insn in insns)
        memory[64 * PROGRAM : 64 * PROGRAM + len(words)] = np.frombuffer(words, np.uint8)
        self.ram.write(0, memory.tobytes())
        for name, value in {
            "PROGRAM": PROGRAM,
            "LENGTH": len(insns),
            "MEMORY": UNITS,
            "WRITE_FIRST": CACHE,
            "WRITE_END": UNITS,
            "POSITION": POSITION,
            "COLUMNS": 1,
            "HEAD": 1,
            "TOKEN": TOKEN,
        }.items():
            await self.write(name, value)
        await self.write("CONTROL", control)

    async def finish(self, limit=2000):
        """Poll until not busy; returns STATUS."""
        for _ in range(limit):
            if not (status := await self.read("STATUS")) & 1:
                return status
        raise AssertionError(f"busy after {limit} polls")

    async def fault(self):
        return [await self.read(name) for name in ("FAULT_CODE", "FAULT_PC", "FAULT_INFO")]

    async def same_memory(self, insns, control=1):
        """Run a program, and compare DRAM with the oracle's; returns its best logits."""
        memory = image(self.config, self.format)
        await self.start(insns, memory, control)
        want, ids, values = RUN.expect(
            self.config,
            memory,
            [insn.encode() for insn in insns],
            (CACHE, UNITS),
            [TOKEN],
            POSITION,
        )
        assert await self.finish() == 0b010, await self.fault()
        got = np.frombuffer(self.ram.read(0, len(memory)), np.uint8)
        different = np.flatnonzero(got != want)
        assert not different.size, f"DRAM differs in {different.size} bytes from {different[0]:#x}"
        return ids, values

    async def check_counters(self):
        """Counters say what the last run must have, whatever memory did to it."""
        config = self.config
        if not config.counters:
            assert await self.read("COUNTERS") == 0
            return
        assert await self.read("COUNTERS") == len(COUNTERS)
        got = {name: await self.read("COUNTER", n) for name, n in COUNTERS.items()}
        cycles, insns = await self.read("CYCLES"), program(config, self.format)
        assert got["weight_beats"] == await self.read("WEIGHT_BEATS")
        assert got["linear_starved"] <= await self.read("STARVED")
        units = sum(insn.size for insn in insns if isinstance(insn, Load))
        assert got["load_beats"] == config.unit_beats * units
        assert got["fetch_beats"] == config.unit_beats * -(-len(insns) // 2)
        lines = sum(2 * insn.heads for insn in insns if isinstance(insn, Append))
        assert got["write_beats"] == config.unit_beats * lines
        positions = POSITION + 1  # of a block: exponents, then as many keys, and values
        assert got["kv_beats"] == config.unit_beats * (1 + 2 * positions)
        for unit in ("sequencer", *(unit.name.lower() for unit in Unit)):
            busy, starved, blocked, token = (
                got.get(f"{unit}_{kind}", 0) for kind in ("busy", "starved", "blocked", "token")
            )
            assert 0 < busy <= cycles and starved + blocked <= busy and token <= blocked, got
        # Who must have waited for a token: the vector unit and the linear unit, of loads and of it.
        assert got["vector_token"] and got["linear_token"] and not got["load_token"], got

    async def whole_program(self, control=1):
        """Run the program on hardware, and compare all that it leaves with the oracle."""
        ids, values = await self.same_memory(program(self.config, self.format), control)
        best = [await self.read("BEST", n) for n in range(2 * BEST)]
        assert list(zip(best[::2], best[1::2])) == list(zip(patterns(values), ids.tolist()))


@cocotb.test()
@cocotb.parametrize(pause=[0, 0.5])
async def every_unit(dut, pause):
    host = await Host.begin(dut, pause)
    assert await host.read("IDENTITY") == IDENTITY
    assert await host.read("DIGEST") == int(host.config.digest[:8], 16)
    assert await host.read("FORMATS") == sum(1 << fmt.value for fmt in host.config.weight_formats)
    await host.whole_program()
    beats = await host.read("WEIGHT_BEATS")
    assert beats == host.config.unit_beats * sum(
        insn.size for insn in program(host.config, host.format) if isinstance(insn, Stream)
    )
    assert 0 < await host.read("STARVED") < await host.read("CYCLES")
    await host.check_counters()
    # Once more, without a reset.
    await host.whole_program()


@cocotb.test()
@cocotb.parametrize(pause=[0, 0.5])
async def announced(dut, pause):
    """What a token announces can be read, whoever wrote it, and however busy the vector memory
    is.
    """
    host = await Host.begin(dut, pause)
    await host.same_memory(handover(host.config))


NOTHING = bytes(64)  # what lies at the start of memory, and is no descriptor
FAULTS = {
    "load": (
        [Load(addr=UNITS - 1, size=1), Load(addr=UNITS - 1, size=2), Halt()],
        [FaultCode.ADDRESS, 1, UNITS - 1],
    ),
    "stream": (
        [Scalar(rd=1, factor=0, offset=5), Stream(addr=UNITS, size=1, addr_reg=1), Halt()],
        [FaultCode.ADDRESS, 1, UNITS + 5],
    ),
    "append": (
        [Quant(dest=Dest.KV, outer=1, inner=64), Append(heads=1, addr=1 << 30), Halt()],
        [FaultCode.ADDRESS, 1, (1 << 30) + 1],
    ),  # the elements go before the exponent
    # Within memory, but not the program's to write.
    "weights": (
        [Quant(dest=Dest.KV, outer=1, inner=64), Append(heads=1, addr=WEIGHTS), Halt()],
        [FaultCode.ADDRESS, 1, WEIGHTS + 1],
    ),
    "before": (
        [Quant(dest=Dest.KV, outer=1, inner=64), Append(heads=1, addr=CACHE - 2), Halt()],
        [FaultCode.ADDRESS, 1, CACHE - 1],
    ),
    "attend": (
        [
            Quant(dest=Dest.QUERY, outer=1, inner=64),
            Attend(heads=1, queries=1, addr=UNITS, length=1),
            Halt(),
        ],
        [FaultCode.ADDRESS, 1, UNITS],
    ),
    "end": ([Load(size=1)], [FaultCode.PROGRAM, 1, 1]),
    "token": ([Sync(unit=Unit.VECTOR, take=3), Vector(), Halt()], [FaultCode.WATCHDOG, 1, 1]),
    "descriptor": (
        [
            Stream(addr=1, size=2),
            Quant(dest=Dest.ACT, outer=1, inner=32),
            MatMul(rows=16, groups=1),
            Halt(),
        ],
        [FaultCode.DESCRIPTOR, 2, fault_info(NOTHING, contradictions(NOTHING, 16, 1, [U4]))],
    ),
    "beats": (
        [Quant(dest=Dest.ACT, outer=1, inner=32), MatMul(rows=16, groups=1), Halt()],
        [FaultCode.WATCHDOG, 1, 1 | 1 << Unit.LINEAR.value],
    ),
}


@cocotb.test()
@cocotb.parametrize(name=list(FAULTS))
async def fault_then_reset(dut, name):
    host = await Host.begin(dut)
    insns, (code, pc, info) = FAULTS[name]
    before = 11 * list(FAULTS).index(name)  # so that indices of instructions have many bits
    want = [code, before + pc, before + info if name == "end" else info]
    await host.write("WATCHDOG", 2000)
    await host.start([Scalar(rd=7)] * before + insns, image(host.config, host.format))
    assert await host.finish() == 0b100
    assert await host.fault() == want
    await host.write("CONTROL", 1)  # ignored
    assert await host.finish() == 0b100
    await host.write("CONTROL", 2)
    assert await host.finish() == 0
    assert await host.fault() == [0, 0, 0]
    await host.whole_program()


@cocotb.test()
@cocotb.parametrize(after=[1, 30, 77, 300, 700, 1200])
async def reset_while_running(dut, after):
    """Whatever is outstanding then, the next run is none the worse."""
    host = await Host.begin(dut, 0.3)
    await host.start(program(host.config, host.format), image(host.config, host.format))
    await cycles(dut, after)
    await host.whole_program(control=3)


@cocotb.test()
async def program_too_long(dut):
    host = await Host.begin(dut)
    await host.write("LENGTH", host.config.program_words + 1)
    await host.write("CONTROL", 1)
    assert await host.finish() == 0b100
    assert await host.fault() == [FaultCode.PROGRAM, 0, host.config.program_words + 1]
