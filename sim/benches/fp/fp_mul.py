"""Multiplier."""

import cocotb

from rtl.fp.mul import FpMul
from sim.benches.linear._pipeline import check
from sim.harness.bench import rng, start
from sim.harness.patterns import EDGES, floats, pattern, patterns
from sim.oracles.fp import MULTIPLY


CASES = {"fp32": FpMul}


async def compare(dut, pairs, gap=0.0):
    await start(dut)
    a, b = zip(*pairs)
    expected = patterns(MULTIPLY.expect(floats(a), floats(b)))
    await check(dut, FpMul.LATENCY, [{"a": a, "b": b} for a, b in pairs], expected, rng(), gap)


@cocotb.test()
async def edges(dut):
    await compare(dut, [(a, b) for a in EDGES for b in EDGES])


@cocotb.test()
async def random_patterns(dut):
    random = rng()
    await compare(dut, [(pattern(random), pattern(random)) for _ in range(6000)])
    await compare(dut, [(random.getrandbits(32), random.getrandbits(32)) for _ in range(3000)])


@cocotb.test()
async def around_the_limits(dut):
    random = rng()
    pairs = []
    for n in range(6000):
        exponent = random.randrange(1, 256)
        other = (127 if n & 1 else 127 + 254) - exponent + random.randrange(-2, 2)
        pairs.append((pattern(random, [exponent]), pattern(random, [min(max(other, 0), 255)])))
    await compare(dut, pairs)


@cocotb.test()
async def ties(dut):
    random = rng()
    # Products of 13-bit significands have 25 or 26 bits: many lie between two fp32 numbers.
    await compare(
        dut,
        [
            (
                pattern(random, [127]) >> 11 << 11 | 1 << 11,
                pattern(random, [127]) >> 11 << 11 | 1 << 11,
            )
            for _ in range(3000)
        ],
    )


@cocotb.test()
async def holds_between_enables(dut):
    random = rng()
    await compare(
        dut,
        [(pattern(random, range(100, 150)), pattern(random, range(100, 150))) for _ in range(1000)],
        gap=0.5,
    )
