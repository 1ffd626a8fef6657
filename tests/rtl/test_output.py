# amaranth: UnusedElaboratable=no

import pytest
from amaranth import Module, Signal
from amaranth.sim import Simulator

from rtl.cores.output import OutputQueue, capacity


@pytest.mark.parametrize("latency", [1, 0, "2"])
def test_latency_wrong(latency):
    with pytest.raises(
        ValueError, match=rf"^Latency must be at least two cycles, not {latency!r}$"
    ):
        OutputQueue(8, latency=latency)


@pytest.mark.parametrize("latency", [2, 3, 8, 15])
def test_nothing_is_lost_or_late(latency):
    """Numbers go in whenever there is room, through a pipeline of registers, and are taken now and
    then.
    """
    m = Module()
    m.submodules.dut = dut = OutputQueue(16, latency=latency)
    value = number = Signal(16)
    for n in range(latency - 1):
        later = Signal(16, name=f"stage_{n}")
        m.d.sync += later.eq(value)
        value = later
    m.d.comb += dut.i.eq(value)
    seen, entered, held = [], [], 0

    async def run(ctx):
        nonlocal held
        for cycle in range(400):
            ready = cycle < 100 or 200 < cycle and cycle % 3 == 0  # always, never, now and then
            ctx.set(dut.o.ready, ready)
            enter = ctx.get(dut.room) and cycle < 300
            ctx.set(dut.enter, enter)
            ctx.set(number, cycle)
            if enter:
                entered.append(cycle)
            if ctx.get(dut.o.valid) and ready:
                seen.append((cycle, ctx.get(dut.o.p)))
            held = max(held, len(entered) - len(seen))
            await ctx.tick()

    simulator = Simulator(m)
    simulator.add_clock(1e-6)
    simulator.add_testbench(run)
    simulator.run()
    assert [n for _, n in seen] == entered
    # One in every cycle while all are taken.
    assert seen[: 100 - latency] == [(n + latency, n) for n in range(100 - latency)]
    assert held == capacity(latency)
