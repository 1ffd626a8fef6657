"""What :mod:`sim.bench` itself refuses: offers withdrawn, and a `busy` that falls early."""

import cocotb
from amaranth import *
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from sim.bench import Sink, cycles, get_port, start, watch_busy


class Wires(wiring.Component):
    """A stream and a `busy` that do what the bench tells them, good or bad."""
    def __init__(self):
        super().__init__({"i": In(stream.Signature(8)), "o": Out(stream.Signature(8)),
                          "told": In(1), "busy": Out(1), "time": Out(8)})

    def elaborate(self, platform):
        m = Module()
        wiring.connect(m, wiring.flipped(self.i), wiring.flipped(self.o))
        m.d.comb += self.busy.eq(self.told)
        m.d.sync += self.time.eq(self.time + 1)     # Benches need a clock.
        return m


CASES = {"only": Wires}

# What is offered cycle by cycle, None for nothing, to a sink that takes the last; whether it may.
OFFERS = {
    "kept":      ([None, 5, 5, 5], True),
    "zero":      ([None, 0, 0, 0], True),
    "withdrawn": ([5, 5, None, None], False),
    "back":      ([5, None, 5, 5], False),
    "changed":   ([5, 5, 6, 6], False),
    "late":      ([5, 5, 5, 6], False),     # in the cycle in which it is taken
}
# The same with `valid`, `ready` and `busy` of a stream; `busy` must outlast it by one cycle.
BUSY = {
    "long":   ([(0, 0, 1), (1, 0, 1), (1, 1, 1), (0, 0, 1), (0, 0, 0)], True),
    "never":  ([(0, 0, 0), (0, 1, 0), (0, 1, 0), (0, 0, 0)], True),
    "early":  ([(1, 1, 1), (0, 0, 0)], False),
    "stall":  ([(0, 0, 1), (1, 0, 1), (1, 0, 0), (1, 1, 1), (0, 0, 1)], False),
    "after":  ([(0, 0, 1), (0, 0, 0), (1, 1, 0)], False),
}


@cocotb.test()
@cocotb.parametrize(name=list(OFFERS))
async def offers(dut, name):
    sequence, good = OFFERS[name]
    await start(dut)
    sink = Sink(dut, "o", 8, stall=1)

    async def receive():
        try:
            return await sink.receive()
        except AssertionError as error:
            return error

    task = cocotb.start_soon(receive())
    for n, offer in enumerate(sequence):
        if n == len(sequence) - 1:
            sink.stall = 0
        get_port(dut, "i.valid").value = offer is not None
        get_port(dut, "i.payload").value = 0xff if offer is None else offer
        await cycles(dut)
    await cycles(dut)
    assert task.done()
    assert task.result() == sequence[-1] if good else isinstance(task.result(), AssertionError)


@cocotb.test()
@cocotb.parametrize(name=list(BUSY))
async def busy(dut, name):
    sequence, good = BUSY[name]
    await start(dut)

    async def watch():
        try:
            await watch_busy(dut, "o", settle=1)
        except AssertionError as error:
            return error

    task = cocotb.start_soon(watch())
    for valid, ready, told in sequence:
        get_port(dut, "i.valid").value, get_port(dut, "o.ready").value = valid, ready
        dut.told.value = told
        await cycles(dut)
    assert task.done() != good
    task.cancel()
