"""Adder."""

import cocotb
import numpy as np

from rtl.fp.add import FpAdd
from sim.benches.linear._pipeline import check
from sim.harness.bench import rng, start
from sim.harness.patterns import EDGES, floats, pattern, patterns
from sim.oracles.fp import ADD


CASES = {"fp32": FpAdd}


async def compare(dut, operands, gap=0.0):
    await start(dut)
    a, b, sub = (np.array(x) for x in zip(*operands))
    expected = patterns(ADD.expect(floats(a), floats(b ^ sub << 31)))
    await check(
        dut,
        FpAdd.LATENCY,
        [{"a": a, "b": b, "sub": sub} for a, b, sub in operands],
        expected,
        rng(),
        gap,
    )


@cocotb.test()
async def edges(dut):
    await compare(dut, [(a, b, sub) for a in EDGES for b in EDGES for sub in (0, 1)])


@cocotb.test()
async def random_patterns(dut):
    random = rng()
    await compare(
        dut, [(pattern(random), pattern(random), random.getrandbits(1)) for _ in range(4000)]
    )
    await compare(
        dut,
        [
            (random.getrandbits(32), random.getrandbits(32), random.getrandbits(1))
            for _ in range(2000)
        ],
    )


@cocotb.test()
async def near_exponents(dut):
    random = rng()
    operands = []
    for _ in range(10000):
        exponent = random.choice([random.randrange(256), random.randrange(30), 254, 255])
        distance = random.choice([0, 1, 2, random.randrange(40), 22 + random.randrange(5)])
        pair = [pattern(random, [exponent]), pattern(random, [max(exponent - distance, 0)])]
        random.shuffle(pair)
        operands.append((*pair, random.getrandbits(1)))
    await compare(dut, operands)


@cocotb.test()
async def cancellation(dut):
    random = rng()
    operands = []
    for _ in range(4000):
        a = pattern(random, [random.choice([1, 2, 24, 25, 255, random.randrange(1, 256)])])
        near = random.choice([0, 1, -1, random.randrange(-64, 64), 1 << random.randrange(24)])
        b = min(max((a & 0x7FFFFFFF) + near, 0), 0x7FFFFFFF) | a & 0x80000000
        operands.append((a, b, 1) if random.getrandbits(1) else (a, b ^ 0x80000000, 0))
    await compare(dut, operands)


@cocotb.test()
async def holds_between_enables(dut):
    random = rng()
    await compare(
        dut,
        [
            (
                pattern(random, range(120, 130)),
                pattern(random, range(120, 130)),
                random.getrandbits(1),
            )
            for _ in range(1000)
        ],
        gap=0.5,
    )
