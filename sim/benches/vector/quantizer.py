"""Quantizer."""

from dataclasses import replace

import cocotb
from cocotb.triggers import FallingEdge, RisingEdge

from rtl.spec.config import GROUP, get
from rtl.spec.payloads import Quantized
from rtl.vector.quantizer import Floats, Quantizer
from sim.harness.bench import Sink, Source, case, cycles, rng, start
from sim.harness.patterns import EDGES, floats, pattern
from sim.oracles.vector import QUANTIZE


CASES = {
    "small": lambda: Quantizer(get("small")),
    "narrow": lambda: Quantizer(replace(get("small"), lanes=2, head_dim=256)),
    "widest": lambda: Quantizer(replace(get("wide"), lanes=16)),
}


def group(random, size):
    """Patterns of one group: usually of near exponents, sometimes of all kinds, or zeros."""
    top = random.choice([random.randrange(1, 256), random.randrange(1, 20), 254, 255, 127])
    kinds = {
        "near": lambda: pattern(random, range(max(top - 3, 0), top + 1)),
        "far": lambda: pattern(random, range(max(top - 20, 0), top + 1)),
        "any": lambda: pattern(random),
        "edges": lambda: random.choice(EDGES),
        "zeros": lambda: random.getrandbits(1) << 31 | random.choice([0, random.getrandbits(23)]),
        # One bit below the finest step of either kind, and what is just less.
        "ties": lambda: (
            (random.getrandbits(1) << 31)
            | top << 23
            | random.choice([1 << 16, 1 << 8, 0x18000, 0x180, 0x7F0000, 0x7FFF00, 0xFFFF, 0xFF])
        ),
    }
    kind = random.choice([*kinds, "near", "far"])
    values = [kinds[kind]() for _ in range(size)]
    if random.random() < 0.3:  # A single large value, anywhere.
        values[random.randrange(size)] = pattern(random, [min(top + random.randrange(20), 255)])
    return values


def expected(values, wide):
    """Integers and exponent of a group."""
    q, exponent = QUANTIZE.expect(floats(values), len(values), 16 if wide else 8)
    return q.tolist(), int(exponent[0])


def traffic(config, random, kinds):
    """Runs at `i` and at `o`, of groups that are (wide, head)."""
    runs, results = [], []
    for wide, head in kinds:
        size = config.head_dim if head else GROUP
        values = group(random, size)
        q, exponent = expected(values, wide)
        for n in range(0, size, config.lanes):
            runs.append({"values": values[n : n + config.lanes], "wide": wide, "head": head})
            results.append(
                {
                    "values": q[n : n + config.lanes],
                    "exponent": exponent,
                    "last": int(n + config.lanes == size),
                }
            )
    return runs, results


@cocotb.test()
async def matches_reference(dut):
    config, random = CASES[case()]().config, rng()
    await start(dut)
    for gap, stall in [(0, 0), (0.3, 0.3), (0, 0.6), (0.6, 0), (0.02, 0.02)]:
        i = Source(dut, "i", Floats(config), gap=gap)
        o = Sink(dut, "o", Quantized(config), stall=stall, limit=1000)
        kinds = [(random.getrandbits(1), random.random() < 0.4) for _ in range(80)]
        runs, results = traffic(config, random, [(wide, int(head)) for wide, head in kinds])
        sending = cocotb.start_soon(i.send_all(runs))
        await o.expect_all(results)
        await sending
        await o.expect_none()


@cocotb.test()
async def takes_and_gives_a_run_per_cycle(dut):
    """The first run leaves `latency` cycles after its group's last; then one follows every
    cycle.
    """
    unit, random = CASES[case()](), rng()
    config = unit.config
    await start(dut)
    for head in (0, 1):
        size = (config.head_dim if head else GROUP) // config.lanes
        i = Source(dut, "i", Floats(config), gap=0)
        runs, _ = traffic(config, random, [(0, head)] * 24)
        dut.o__ready.value = 1
        sending = cocotb.start_soon(i.send_all(runs))
        valid = []
        for _ in range(len(runs) + size - 1 + unit.latency):
            await FallingEdge(dut.clk)
            valid.append(int(dut.o__valid.value))
            await RisingEdge(dut.clk)
        first = size - 1 + unit.latency
        assert valid == [0] * first + [1] * len(runs), (head, first, valid)
        await sending


@cocotb.test()
async def fills_and_waits(dut):
    """A buffer that nobody drains holds two heads, and then stops the input."""
    config, random = CASES[case()]().config, rng()
    await start(dut)
    i = Source(dut, "i", Floats(config), gap=0)
    o = Sink(dut, "o", Quantized(config), stall=0)
    for kind in [(0, 0), (1, 1)]:
        runs, results = traffic(config, random, [kind] * 40)
        sending = cocotb.start_soon(i.send_all(runs))
        await cycles(dut, 2 * len(runs))
        assert not int(dut.i__ready.value)
        await o.expect_all(results)
        await sending
