"""Conversion of integers to fp32."""

import cocotb
import numpy as np

from rtl.fp.from_int import IntToFp
from sim.benches.linear._pipeline import check
from sim.harness.bench import case, rng, start
from sim.harness.patterns import patterns
from sim.oracles.fp import FROM_INT


CASES = {
    "8": lambda: IntToFp(8),
    "25": lambda: IntToFp(25),
    "54": lambda: IntToFp(54),
}


async def compare(dut, pairs, gap=0.0):
    width = CASES[case()]().width
    await start(dut)
    await check(
        dut,
        IntToFp.LATENCY,
        [{"i": i & (1 << width) - 1, "exponent": e & 0x7FF} for i, e in pairs],
        patterns(FROM_INT.expect(*np.array(pairs).T)),
        rng(),
        gap,
    )


def integers(random, width, count):
    """Edge values, and then random ones of all sizes, many of them ties."""
    limit = 1 << width - 1
    edges = [0, 1, -1, limit - 1, -limit, 1 - limit]
    edges += [s * ((1 << n) + d) for n in range(1, width - 1) for d in (-1, 0, 1) for s in (1, -1)]
    edges += [
        s * (((1 << 24) + d << n) + (1 << n >> 1))
        for n in range(width - 26)
        for d in (-1, -2, 0, 1)
        for s in (1, -1)
    ]
    for _ in range(count):
        i = random.getrandbits(random.randrange(1, width))
        low = random.randrange(width)
        edges.append(random.choice([1, -1]) * random.choice([i, i >> low << low]))
    return edges


@cocotb.test()
async def plain(dut):
    random, width = rng(), CASES[case()]().width
    await compare(dut, [(i, 0) for i in integers(random, width, 5000)])


@cocotb.test()
async def exponents(dut):
    random, width = rng(), CASES[case()]().width
    edges = [-1024, 1023, 0, -1, 1]
    await compare(
        dut,
        [
            (
                i,
                random.choice(
                    [
                        random.choice(edges),
                        random.randrange(-1024, 1024),
                        -126 - random.randrange(width + 1),
                        127 - random.randrange(width + 1),
                    ]
                ),
            )
            for i in integers(random, width, 5000)
        ],
    )


@cocotb.test()
async def holds_between_enables(dut):
    random, width = rng(), CASES[case()]().width
    await compare(
        dut, [(i, random.randrange(-9, 9)) for i in integers(random, width, 500)], gap=0.5
    )
