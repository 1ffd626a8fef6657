"""Skid buffer: data integrity, order, and `ready` one cycle late."""

import cocotb
from cocotb.triggers import FallingEdge, RisingEdge, Timer

from rtl.bus.skid import SkidBuffer

from ...harness.bench import Sink, Source, case, get_port, rng, start


WIDTHS = {"bit": 1, "beat": 512}
CASES = {name: lambda width=width: SkidBuffer(width) for name, width in WIDTHS.items()}


def payloads(count):
    random = rng("payloads")
    return [random.getrandbits(WIDTHS[case()]) for _ in range(count)]


@cocotb.test()
@cocotb.parametrize(gap=[0, 0.5, 0.9], stall=[0, 0.5, 0.9])
async def in_order(dut, gap, stall):
    width, sent = WIDTHS[case()], payloads(300)
    source, sink = Source(dut, "i", width, gap=gap), Sink(dut, "o", width, stall=stall)
    await start(dut)
    feed = cocotb.start_soon(source.send_all(sent))
    await sink.expect_all(sent)
    await feed
    await sink.expect_none()


@cocotb.test()
async def at_once(dut):
    """No latency, and a payload in every cycle."""
    await start(dut)
    get_port(dut, "o.ready").value = 1
    for want in payloads(50):
        get_port(dut, "i.payload").value = want
        get_port(dut, "i.valid").value = 1
        await FallingEdge(dut.clk)
        assert int(get_port(dut, "i.ready").value) and int(get_port(dut, "o.valid").value)
        assert int(get_port(dut, "o.payload").value) == want


@cocotb.test()
async def ready_is_of_before(dut):
    """What the far end says within a cycle reaches `ready` with the next; one payload more is
    taken.
    """
    await start(dut)
    ready, way = get_port(dut, "i.ready"), get_port(dut, "o.ready")
    first, second, third = payloads(3)
    for want, open_, offered, told in [
        (first, 1, first, 1),
        (second, 0, second, 1),
        (third, 0, second, 0),
        (third, 1, second, 0),
        (third, 1, third, 1),
    ]:
        get_port(dut, "i.payload").value = want
        get_port(dut, "i.valid").value = 1
        for now in (not open_, open_):
            way.value = now
            await Timer(1, "ns")
            assert int(ready.value) == told
        await FallingEdge(dut.clk)
        assert int(get_port(dut, "o.payload").value) == offered
        await RisingEdge(dut.clk)
