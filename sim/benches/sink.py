"""Bench of the stream checkers: a withdrawn payload, and a `busy` that falls early."""

import cocotb
from amaranth import *
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from sim.checkers.rules import RULES
from sim.harness.bench import Sink, cycles, get_port, start, violation


class Wires(wiring.Component):
    """A stream and a `busy` that do what the bench tells them, good or bad."""

    announced = ("o",), 1  # as in :data:`sim.checkers.exceptions.BUSY`

    def __init__(self):
        super().__init__(
            {
                "i": In(stream.Signature(8)),
                "o": Out(stream.Signature(8)),
                "told": In(1),
                "busy": Out(1),
                "time": Out(8),
            }
        )

    def elaborate(self, platform):
        m = Module()
        wiring.connect(m, wiring.flipped(self.i), wiring.flipped(self.o))
        m.d.comb += self.busy.eq(self.told)
        m.d.sync += self.time.eq(self.time + 1)  # Benches need a clock.
        return m


CASES = {"only": Wires}

# What is offered cycle by cycle, None for nothing, to a sink that takes the last; the rule it
# breaks.
OFFERS = {
    "kept": ([None, 5, 5, 5], ""),
    "zero": ([None, 0, 0, 0], ""),
    "withdrawn": ([5, 5, None, None], "WITHDRAWN"),
    "back": ([5, None, 5, 5], "WITHDRAWN"),
    "changed": ([5, 5, 6, 6], "CHANGED"),
    "late": ([5, 5, 5, 6], "CHANGED"),  # in the cycle in which it is taken
}
# The same with `valid`, `ready` and `busy` of a stream; `busy` must outlast it by one cycle.
BUSY = {
    "long": ([(0, 0, 1), (1, 0, 1), (1, 1, 1), (0, 0, 1), (0, 0, 0)], True),
    "never": ([(0, 0, 0), (0, 1, 0), (0, 1, 0), (0, 0, 0)], True),
    "early": ([(1, 1, 1), (0, 0, 0)], False),
    "stall": ([(0, 0, 1), (1, 0, 1), (1, 0, 0), (1, 1, 1), (0, 0, 1)], False),
    "after": ([(0, 0, 1), (0, 0, 0), (1, 1, 0)], False),
}


@cocotb.test()
@cocotb.parametrize(name=list(OFFERS))
async def offers(dut, name):
    """Checkers see it at both ports."""
    sequence, rule = OFFERS[name]
    await start(dut, watch=False)
    dut.told.value = 1
    sink = Sink(dut, "o", 8, stall=1)
    task = cocotb.start_soon(sink.receive())
    for n, offer in enumerate(sequence):
        if n == len(sequence) - 1:
            sink.stall = 0
        get_port(dut, "i.valid").value = offer is not None
        get_port(dut, "i.payload").value = 0xFF if offer is None else offer
        await cycles(dut)
    await cycles(dut)
    assert violation(dut) in ([f"{port}: {RULES[rule]}" for port in "io"] if rule else [""])
    task.cancel()


@cocotb.test()
async def reset_withdraws(dut):
    await start(dut)
    dut.told.value = 1
    get_port(dut, "i.valid").value = 1
    await cycles(dut, 3)
    dut.rst.value = 1
    get_port(dut, "i.valid").value = 0
    await cycles(dut)
    dut.rst.value = 0
    await cycles(dut, 3)


@cocotb.test(expect_error=AssertionError)
async def a_violation_fails_the_test(dut):
    await start(dut)
    dut.told.value = 1
    for valid in 1, 0:
        get_port(dut, "i.valid").value = valid
        await cycles(dut, 3)


@cocotb.test()
@cocotb.parametrize(name=list(BUSY))
async def busy(dut, name):
    sequence, good = BUSY[name]
    await start(dut, watch=False)
    for valid, ready, told in sequence:
        get_port(dut, "i.valid").value, get_port(dut, "o.ready").value = valid, ready
        dut.told.value = told
        await cycles(dut)
    await cycles(dut)
    assert violation(dut) == ("" if good else f"busy: {RULES['IDLE']}")
