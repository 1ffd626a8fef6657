"""Stream unit: its requests, and its `busy`."""

import cocotb
from cocotb.triggers import FallingEdge, RisingEdge

from rtl.memory.stream import StreamUnit
from rtl.spec.isa import Stream
from rtl.spec.payloads import Dispatched, ReadRequest
from sim.harness.bench import Sink, Source, cycles, get_port, rng, start


CASES = {"only": StreamUnit}
EDGES = [0, 1, (1 << 28) - 1, (1 << 32) - 1]


async def watch(dut):
    """An offer stays, unchanged, until it is taken; the unit is busy until then, and no longer."""
    valid, ready, payload = (get_port(dut, f"req.{name}") for name in ("valid", "ready", "payload"))
    offered = None
    while True:
        await FallingEdge(dut.clk)
        assert int(dut.busy.value) == int(valid.value)
        assert offered is None or int(valid.value) and int(payload.value) == offered
        offered = int(payload.value) if int(valid.value) and not int(ready.value) else None
        await RisingEdge(dut.clk)


def send(source, insn, random):
    """Send an instruction, with what does not concern the unit at random."""
    # An instruction ends where its layout does.
    noise = random.getrandbits(256) >> Stream.layout.size << Stream.layout.size
    return source.send({"word": insn.encode() | noise, "pc": random.getrandbits(12)})


@cocotb.test()
@cocotb.parametrize(gap=[0, 0.5], stall=[0, 0.5])
async def passes_on(dut, gap, stall):
    random = rng(f"{gap} {stall}")
    await start(dut)
    watching = cocotb.start_soon(watch(dut))
    insns = [Stream(addr=addr, size=size & (1 << 28) - 1) for addr in EDGES for size in EDGES]
    insns += [Stream(addr=random.getrandbits(32), size=random.getrandbits(28)) for _ in range(80)]
    source = Source(dut, "insn", Dispatched, gap=gap)
    sink = Sink(dut, "req", ReadRequest, stall=stall)

    async def send_all():
        for insn in insns:
            await send(source, insn, random)

    sending = cocotb.start_soon(send_all())
    await sink.expect_all({"addr": insn.addr, "size": insn.size} for insn in insns)
    await sending
    await sink.expect_none()
    watching.cancel()


@cocotb.test()
async def one_request_every_two_cycles(dut):
    random, count = rng("pace"), 20
    await start(dut)
    get_port(dut, "req.ready").value = 1
    source = Source(dut, "insn", Dispatched, gap=0)
    began = cocotb.utils.get_sim_time("step")
    for n in range(count):
        await send(source, Stream(addr=n, size=1), random)
        # The latency is one cycle: the request is there.
        await FallingEdge(dut.clk)
        assert int(get_port(dut, "req.valid").value) and int(dut.busy.value)
        await cycles(dut)
    assert (cocotb.utils.get_sim_time("step") - began) // 10000 == 2 * count
