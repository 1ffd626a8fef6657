"""Order of a dot product's additions, with the adders that do them."""

import cocotb
import numpy as np
from amaranth import *
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from cocotb.triggers import FallingEdge

from rtl.fp.add import FpAdd
from rtl.vector.reduce import PARTIAL_SUMS, Reduce
from sim.harness.bench import case, cycles, from_bits, rng, start, to_bits
from sim.harness.patterns import EDGES, floats, is_finite, pattern, patterns
from sim.oracles.vector import DOT


class Sum(wiring.Component):
    """Reduce with adders, which the products reach a cycle later.

    Streams that are always ready cannot be the ports of a design.
    """

    def __init__(self, lanes):
        self.lanes = lanes
        self.slots = PARTIAL_SUMS // lanes
        self.line = data.ArrayLayout(32, lanes)
        super().__init__(
            {
                "products": In(self.line),
                "valid": In(1),
                "last": In(1),
                "sum": Out(self.line),
                "busy": Out(1),
                "done": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.reduce = reduce = Reduce(self.lanes)
        m.d.comb += [
            reduce.i.valid.eq(self.valid),
            reduce.i.p.last.eq(self.last),
            self.sum.eq(reduce.sum),
            self.busy.eq(reduce.busy),
            self.done.eq(reduce.done),
        ]
        products = Signal(self.line)
        m.d.sync += products.eq(self.products)
        for n in range(self.lanes):
            m.submodules[f"add{n}"] = add = FpAdd()
            m.d.comb += [
                add.en.eq(1),
                add.a.eq(reduce.x[n]),
                add.b.eq(Mux(reduce.fold, reduce.y[n], products[n])),
                reduce.sum[n].eq(add.o),
            ]
        return m


CASES = {f"lanes{lanes}": lambda lanes=lanes: Sum(lanes) for lanes in (2, 8, 16)}


def vectors(random, lanes):
    """Patterns as the multipliers leave them: nothing is subnormal, no exponent is 255."""
    edges = [x for x in EDGES if is_finite(x) and (x & 0x7F800000 or not x & 0x7FFFFFFF)]

    def fill(count, choose):
        return [choose() for _ in range(count)]

    def real():
        return int(np.float32(random.gauss(0, 1)).view(np.uint32))

    for length in [lanes, 2 * lanes, PARTIAL_SUMS - lanes, PARTIAL_SUMS, PARTIAL_SUMS + lanes, 576]:
        yield fill(length, real)
        yield fill(length, lambda: pattern(random, range(60, 190)))
        yield fill(length, lambda: pattern(random, [*range(1, 4), *range(24, 27)]))
        yield fill(length, lambda: random.choice(edges))
        yield fill(length, lambda: pattern(random, range(250, 255)))
    for _ in range(8):
        yield fill(random.randrange(1, 200 // lanes) * lanes, lambda: random.choice(edges))
    for zero in (0, 1 << 31):
        yield fill(2 * PARTIAL_SUMS, lambda: zero)
    # Integers: what numpy adds up in any order.
    yield fill(256, lambda: int(np.float32(random.randrange(-999, 1000)).view(np.uint32)))
    # Every partial sum becomes -0 by underflow, also those that nothing is added to later.
    yield (
        fill(PARTIAL_SUMS, lambda: 0x80C00000)
        + fill(PARTIAL_SUMS, lambda: 0x00800000)
        + fill(lanes, lambda: 1 << 31)
    )


@cocotb.test()
@cocotb.parametrize(gap=[0, 0.4])
async def sums_as_the_reference(dut, gap):
    design, random = CASES[case()](), rng(gap)
    lanes = design.lanes
    latency = Reduce(lanes).latency
    assert latency == {2: 99, 4: 70, 8: 59, 16: 60}[lanes]
    await start(dut)

    async def feed(words, last=0):
        """A line, or, without words, nothing of the kind."""
        dut.valid.value = words is not None
        dut.last.value = last if words is not None else random.getrandbits(1)
        dut.products.value = (
            to_bits(design.line, words) if words is not None else random.getrandbits(32 * lanes)
        )
        await FallingEdge(dut.clk)

    for values in vectors(random, lanes):
        want = patterns(DOT.expect(floats(values), np.ones(len(values), np.float32)))
        for at in range(0, len(values), lanes):
            while random.random() < gap:
                await feed(None)
                await cycles(dut)
            await feed(values[at : at + lanes], int(at + lanes == len(values)))
            assert not int(dut.busy.value) and not int(dut.done.value)
            await cycles(dut)
        folding = latency + max(design.slots - len(values) // lanes, 0)
        for cycle in range(1, folding + 1):
            await feed(None)
            assert int(dut.busy.value)
            assert int(dut.done.value) == (cycle == folding), f"cycle {cycle} of {folding}"
            if cycle == folding:
                got = from_bits(design.line, int(dut.sum.value))
                assert got == [want] * lanes, (
                    f"{len(values)} elements: {[f'{x:08x}' for x in got]} must be {want:08x}"
                )
            await cycles(dut)
        # The next sum may start at once, or later.
        for _ in range(random.choice([0, 0, 1, 9])):
            await feed(None)
            assert not int(dut.busy.value) and not int(dut.done.value)
            await cycles(dut)
