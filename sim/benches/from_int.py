"""Conversion of integers against exact integer arithmetic."""

import cocotb
from rtl.fp.from_int import IntToFp
from sim.bench import case, rng, start
from sim.benches._pipeline import check


CASES = {
    "8":  lambda: IntToFp(8),
    "25": lambda: IntToFp(25),
    "54": lambda: IntToFp(54),
}


def convert(i, exponent):
    """Pattern of `i`, rounded to 24 bits, times 2**exponent."""
    sign, magnitude = i < 0, abs(i)
    if not magnitude:
        return 0
    # Python's integers have no limits: neither numpy's int64 nor float64 enters.
    extra = max(magnitude.bit_length() - 24, 0)
    rest, half = magnitude & (1 << extra) - 1, 1 << extra >> 1
    significand = magnitude >> extra
    significand += extra > 0 and (rest > half or rest == half and significand & 1)
    biased = significand.bit_length() - 1 + extra + exponent + 127
    if biased <= 0:
        bits = 0
    elif biased >= 255:
        bits = 0x7f7fffff
    else:
        fraction = significand << 48 >> significand.bit_length() + 24
        bits = biased << 23 | fraction & 0x7fffff
    return sign << 31 | bits


async def compare(dut, pairs, gap=0.0):
    width = CASES[case()]().width
    await start(dut)
    await check(dut, IntToFp.LATENCY,
                [{"i": i & (1 << width) - 1, "exponent": e & 0x7ff} for i, e in pairs],
                [convert(i, e) for i, e in pairs], rng(), gap)


def integers(random, width, count):
    """Edge values, and then random ones of all sizes, many of them ties."""
    limit = 1 << width - 1
    edges = [0, 1, -1, limit - 1, -limit, 1 - limit]
    edges += [s * ((1 << n) + d) for n in range(1, width - 1) for d in (-1, 0, 1) for s in (1, -1)]
    edges += [s * (((1 << 24) + d << n) + (1 << n >> 1)) for n in range(width - 26)
              for d in (-1, -2, 0, 1) for s in (1, -1)]
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
    await compare(dut, [(i, random.choice([random.choice(edges), random.randrange(-1024, 1024),
                                           -126 - random.randrange(width + 1),
                                           127 - random.randrange(width + 1)]))
                        for i in integers(random, width, 5000)])


@cocotb.test()
async def holds_between_enables(dut):
    random, width = rng(), CASES[case()]().width
    await compare(dut, [(i, random.randrange(-9, 9)) for i in integers(random, width, 500)], gap=0.5)
