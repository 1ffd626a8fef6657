"""Load unit: every ratio of beat to line."""

import cocotb
from cocotb.triggers import FallingEdge

from rtl.memory.load import LoadUnit
from rtl.spec.config import Config, get
from rtl.spec.isa import Load
from rtl.spec.payloads import Dispatched, ReadRequest, vector_write
from sim.harness.bench import Sink, Source, case, cycles, rng, start
from sim.harness.patterns import EDGES, floats, patterns
from sim.oracles.fp import LOAD


CONFIGS = {
    "equal": get("small"),  # a beat is a line
    "cut": Config(name="cut", beat_bits=512, columns=1, lanes=2),  # a beat is eight lines
    # a line is eight beats, and a word two
    "narrow": Config(name="narrow", beat_bits=16, columns=1, lanes=4),
    "gather": Config(name="gather", beat_bits=128, columns=1, lanes=16),  # a line is four beats
}
CASES = {name: lambda config=config: LoadUnit(config) for name, config in CONFIGS.items()}


@cocotb.test()
@cocotb.parametrize(gap=[0, 0.5], stall=[0, 0.5])
async def copies(dut, gap, stall):
    config, random = CONFIGS[case()], rng()
    await start(dut)
    sizes = [1, 0, 2, 7, 1, 30]
    insns = [
        Load(
            addr=random.getrandbits(32),
            size=size,
            dst=16 * random.randrange(config.vector_words // 16 - size),
        )
        for size in sizes
    ]
    words = [
        [random.choice([random.getrandbits(32), random.choice(EDGES)]) for _ in range(16 * size)]
        for size in sizes
    ]
    insn = Source(dut, "insn", Dispatched, gap=gap)
    beats = Source(dut, "data", config.beat_bits, gap=gap)
    req, write = (
        Sink(dut, "req", ReadRequest, stall=stall),
        Sink(dut, "write", vector_write(config), stall=stall),
    )
    lanes, beat_mask = config.lanes, (1 << config.beat_bits) - 1
    # What comes next is on offer already: it must not be taken early.
    sending = cocotb.start_soon(
        beats.send_all(
            text >> at & beat_mask
            for values in words
            for text in [sum(word << 32 * n for n, word in enumerate(values))]
            for at in range(0, 32 * len(values), config.beat_bits)
        )
    )
    for load, values in zip(insns, words):
        await insn.send({"word": load.encode(), "pc": 5})
        await FallingEdge(dut.clk)
        assert int(dut.busy.value)
        await cycles(dut)
        assert await req.receive() == {"addr": load.addr, "size": load.size}
        stored = patterns(LOAD.expect(floats(values)))
        lines = [
            {
                "line": (load.dst + at) // lanes,
                "mask": (1 << lanes) - 1,
                "data": stored[at : at + lanes],
            }
            for at in range(0, len(values), lanes)
        ]
        await write.expect_all(lines[:-1])
        # The last line waits, and the unit with it.
        await cycles(dut, 30)
        await write.expect_all(lines[-1:])
        await cycles(dut, 4)
        await FallingEdge(dut.clk)
        assert not int(dut.busy.value)
        await cycles(dut)
    await sending


@cocotb.test()
async def keeps_up(dut):
    """One beat, or one line, every cycle."""
    config, size = CONFIGS[case()], 40
    await start(dut)
    await Source(dut, "insn", Dispatched, gap=0).send({"word": Load(size=size).encode(), "pc": 0})
    await Sink(dut, "req", ReadRequest, stall=0).receive()
    cocotb.start_soon(
        Source(dut, "data", config.beat_bits, gap=0).send_all([0] * (size * config.unit_beats))
    )
    began = cocotb.utils.get_sim_time("step")
    await Sink(dut, "write", vector_write(config), stall=0).receive_all(size * 16 // config.lanes)
    took = (cocotb.utils.get_sim_time("step") - began) // 10000
    assert took <= size * max(config.unit_beats, 16 // config.lanes) + 5
