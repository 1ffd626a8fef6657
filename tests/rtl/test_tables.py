# amaranth: UnusedElaboratable=no

from itertools import product

import pytest
from amaranth import Module, Signal, signed
from amaranth.sim import Simulator

from rtl.cores.carried import Carried
from rtl.cores.tables import TABLES, SignTable, bound, encode, look_up


def test_inputs_wrong():
    with pytest.raises(ValueError, match=r"^Inputs of a table must be 1, 2 or 4, not 8$"):
        SignTable(8)


@pytest.mark.parametrize("inputs", [2, 4])
def test_look_up(inputs):
    """Every choice of signs, for the extremes and what lies between."""
    m = Module()
    m.submodules.table = table = SignTable(inputs)
    bits = Signal(inputs)
    codes, negative = encode(bits)
    value, adds_one = Signal(signed(16)), Signal()
    m.d.comb += [value.eq(look_up(table.o, codes)), adds_one.eq(negative)]

    async def check(ctx):
        for acts in product([-128, 127, 3], repeat=inputs):
            for port, act in zip(table.i, acts):
                ctx.set(port, act)
            await ctx.tick()
            for n in range(1 << inputs):
                ctx.set(bits, n)
                expected = sum(act if n >> k & 1 else -act for k, act in enumerate(acts))
                assert ctx.get(value) + ctx.get(adds_one) == expected
                assert -bound(inputs) <= ctx.get(value) < bound(inputs)

    simulator = Simulator(m)
    simulator.add_clock(1e-6)
    simulator.add_testbench(check)
    simulator.run()


@pytest.mark.parametrize("inputs, bits", [(1, 256), (2, 288), (4, 640)])
def test_size_of_a_group(inputs, bits):
    assert TABLES(inputs).size == bits


def test_table_of_one_waits():
    """The table of one activation is the activation, which stays while not enabled."""
    table = SignTable(1)

    async def check(ctx):
        for act, en, expected in [(-128, 1, -128), (5, 0, -128), (127, 1, 127)]:
            ctx.set(table.i[0], act)
            ctx.set(table.en, en)
            await ctx.tick()
            assert ctx.get(table.o[0]) == expected

    simulator = Simulator(table)
    simulator.add_clock(1e-6)
    simulator.add_testbench(check)
    simulator.run()


@pytest.mark.parametrize("places", [0, 1, 4])
def test_carried(places):
    """Sums of all numbers within bounds of 2 and 3, in all their forms."""
    m = Module()
    terms = [Carried(Signal(signed(3)), Signal(), bound) for bound in (2, 3)]
    results = [
        terms[0] + (terms[1] << places),
        terms[1] + (terms[0] << places),
        terms[0].where(terms[0].carry, terms[0] << 0),
        terms[1].within(3),
    ]
    values, totals = [Signal(signed(9)) for _ in results], [Signal(signed(9)) for _ in results]
    m.d.comb += [v.eq(r.value + r.carry) for v, r in zip(values, results)]
    m.d.comb += [t.eq(r.total) for t, r in zip(totals, results)]

    async def check(ctx):
        for low, high in product(range(-2, 2), range(-3, 3)):
            for carries in product((0, 1), repeat=2):
                for term, value, carry in zip(terms, (low, high), carries):
                    ctx.set(term.value, value)
                    ctx.set(term.carry, carry)
                await ctx.delay(1e-6)
                a, b = low + carries[0], high + carries[1]
                expected = [a + (b << places), b + (a << places), a, b]
                assert [ctx.get(value) for value in values] == expected
                assert [ctx.get(total) for total in totals] == expected

    simulator = Simulator(m)
    simulator.add_testbench(check)
    simulator.run()
