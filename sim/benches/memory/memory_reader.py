"""Memory reader: order, burst rules, buffers that never overflow, throughput, faults."""

import logging

import cocotb
from cocotb.triggers import FallingEdge
from cocotbext.axi import AxiRamRead, AxiReadBus

from rtl.memory.reader import MemoryReader
from rtl.spec.config import Config, get
from rtl.spec.csr import FaultCode
from rtl.spec.limits import STREAM, UNITS
from rtl.spec.payloads import ReadRequest
from sim.harness.bench import Sink, Source, case, cycles, rng, start

from ._memory import ReadMemory, pattern


DEPTHS = (512, 256, 64, 64)
CONFIGS = {
    "narrow": Config(name="narrow", beat_bits=16, columns=1, lanes=4),
    "small": get("small"),
    "wide": get("wide"),
}
CASES = {
    name: lambda config=config: MemoryReader(config, DEPTHS) for name, config in CONFIGS.items()
}
LIMIT = 0xB5C3_5A00  # all bits of an address matter


async def begin(dut, **how):
    config = CONFIGS[case()]
    await start(dut)
    dut.limit.value = LIMIT
    memory = ReadMemory(dut, "axi__", config.beat_bytes, rng("memory"), **how)
    return config, memory, cocotb.start_soon(memory.run())


def beats(config, requests):
    for r in requests:
        for n in range(r["size"] * config.unit_beats):
            yield pattern(64 * r["addr"] + n * config.beat_bytes, config.beat_bytes)


def random_requests(random, count):
    for _ in range(count):
        size = random.choice([0, 1, 1, 2, 3, random.randrange(150)])
        yield {
            "size": size,
            "addr": random.choice(
                [0, 63, random.randrange(1, 16) << 13, random.randrange(LIMIT - size), LIMIT - size]
            ),
        }


@cocotb.test()
@cocotb.parametrize(stall=[0, 0.5], slow=[0, 0.5], shuffle=[False, True])
async def clients(dut, stall, slow, shuffle):
    """All clients at once, each with its own pace."""
    config, _, task = await begin(dut, latency=20, stall=stall, shuffle=shuffle)
    tasks = []
    for n in range(len(DEPTHS)):
        requests = list(random_requests(rng(f"client{n}"), 12))
        tasks.append(
            cocotb.start_soon(Source(dut, f"req.{n}", ReadRequest, gap=slow).send_all(requests))
        )
        tasks.append(
            cocotb.start_soon(
                Sink(dut, f"data.{n}", config.beat_bits, stall=slow).expect_all(
                    beats(config, requests)
                )
            )
        )
    for t in tasks:
        await t
    await cycles(dut, 5)
    await FallingEdge(dut.clk)
    assert int(dut.idle.value) and not int(dut.fault.value)
    task.cancel()


@cocotb.test()
async def one_beat_every_cycle(dut):
    """Behind 100 cycles of latency, over many requests, once the first beat has come."""
    config, memory, task = await begin(dut, latency=100)
    sizes = [100, 37, 64, 200, 16, 99]
    requests = [{"addr": 1000 * n + 7, "size": size} for n, size in enumerate(sizes)]
    for client in (0, 1):
        cocotb.start_soon(Source(dut, f"req.{client}", ReadRequest, gap=0).send_all(requests))
        sink = Sink(dut, f"data.{client}", config.beat_bits, stall=0)
        await sink.receive()
        began = cocotb.utils.get_sim_time("step")
        count = sum(sizes) * config.unit_beats - 1
        await sink.receive_all(count)
        assert cocotb.utils.get_sim_time("step") - began == 1000 * 10 * count
        await cycles(dut, 300)
    longest = max(b for id, _, b in memory.bursts if id == 0)
    assert longest == 64
    task.cancel()


@cocotb.test()
async def a_waiting_client_blocks_no_other(dut):
    config, memory, task = await begin(dut, latency=10)
    await Source(dut, "req.0", ReadRequest, gap=0).send({"addr": 0, "size": 10000})
    await cycles(dut, 1000)
    assert sum(b for _, _, b in memory.bursts) == memory.beats == DEPTHS[0]
    request = {"addr": 77, "size": 300}
    await Source(dut, "req.2", ReadRequest, gap=0).send(request)
    await Sink(dut, "data.2", config.beat_bits, stall=0).expect_all(beats(config, [request]))
    task.cancel()


@cocotb.test()
async def many_bursts(dut):
    """Of a unit each: as many are on their way as leave room for a longest burst."""
    config, memory, task = await begin(dut, latency=9 * sum(DEPTHS))
    requests = [
        [{"addr": 1000 * n + k, "size": 1} for k in range(depth // config.unit_beats + 5)]
        for n, depth in enumerate(DEPTHS)
    ]
    for n, wanted in enumerate(requests):
        source = Source(dut, f"req.{n}", ReadRequest, gap=0, limit=1 << 20)
        cocotb.start_soon(source.send_all(wanted))
    await cycles(dut, 8 * sum(DEPTHS))
    longest = [units * config.unit_beats for units in MemoryReader(config, DEPTHS).burst_units]
    assert not memory.beats
    assert len(memory.bursts) == sum(
        (depth - most) // config.unit_beats + 1 for depth, most in zip(DEPTHS, longest)
    )
    assert not int(dut.idle.value)
    for n, wanted in enumerate(requests):
        await Sink(dut, f"data.{n}", config.beat_bits, stall=0, limit=10 * sum(DEPTHS)).expect_all(
            beats(config, wanted)
        )
    await cycles(dut, 5)
    await FallingEdge(dut.clk)
    assert int(dut.idle.value)
    task.cancel()


@cocotb.test()
async def halt_drains(dut):
    """After `halt` nothing more is issued, and `idle` waits for what was."""
    config, memory, task = await begin(dut, latency=50)
    await Source(dut, "req.0", ReadRequest, gap=0).send({"addr": 0, "size": 100})
    await cycles(dut, 12)
    dut.halt.value = 1
    await cycles(dut, 4)
    issued = len(memory.bursts)
    for _ in range(1000):
        await FallingEdge(dut.clk)
        if int(dut.idle.value):
            break
    assert issued == len(memory.bursts) and memory.beats == sum(b for _, _, b in memory.bursts) > 0
    await cycles(dut, 100)
    assert issued == len(memory.bursts)
    task.cancel()


@cocotb.test()
@cocotb.parametrize(size=[1, 2, (1 << 28) - 1], above=[-1, 0, 5, (1 << 32) - 1 - LIMIT])
async def address_fault(dut, size, above):
    config, memory, task = await begin(dut)
    request, client = {"addr": LIMIT + above, "size": size}, size % len(DEPTHS)
    source = cocotb.start_soon(Source(dut, f"req.{client}", ReadRequest, gap=0).send(request))
    await cycles(dut, 50)
    if above + size <= 0:
        assert not int(dut.fault.value) and len(memory.bursts) == 1
    else:
        assert int(dut.fault.value) and not memory.bursts
        assert int(dut.fault_code.value) == FaultCode.ADDRESS
        assert int(dut.fault_info.value) == request["addr"]
        assert int(dut.fault_client.value) == client
    source.cancel()
    task.cancel()


@cocotb.test()
@cocotb.parametrize(high=[False, True])
async def longest_request(dut, high):
    """The first bursts of a request of the largest size, as low and as high as it can be."""
    config, memory, task = await begin(dut)
    dut.limit.value = UNITS
    addr = UNITS - STREAM if high else 0
    source = Source(dut, "req.0", ReadRequest, gap=0)
    await source.send({"addr": addr, "size": STREAM})
    want = (pattern(64 * addr + n * config.beat_bytes, config.beat_bytes) for n in range(1000))
    await Sink(dut, "data.0", config.beat_bits, stall=0).expect_all(want)
    assert not int(dut.fault.value)
    # One unit further it is refused, while the first is on its way.
    source = Source(dut, "req.1", ReadRequest, gap=0)
    cocotb.start_soon(source.send({"addr": UNITS - STREAM + 1, "size": STREAM}))
    await cycles(dut, 50)
    assert int(dut.fault.value) and int(dut.fault_info.value) == UNITS - STREAM + 1
    task.cancel()


@cocotb.test()
async def bus_fault(dut):
    config, memory, task = await begin(dut, error=64 * 20)
    await Source(dut, "req.1", ReadRequest, gap=0).send({"addr": 0, "size": 20})
    await cycles(dut, 300)
    assert not int(dut.fault.value)
    await Source(dut, "req.0", ReadRequest, gap=0).send({"addr": 19, "size": 2})
    await cycles(dut, 300)
    assert int(dut.fault.value) and int(dut.fault_code.value) == FaultCode.BUS
    assert int(dut.fault_info.value) == 2 and int(dut.fault_client.value) == 0
    task.cancel()


@cocotb.test()
async def against_cocotbext_axi(dut):
    """A model of memory that somebody else wrote."""
    logging.getLogger("cocotb.memory_reader").setLevel(logging.WARNING)
    config, random = CONFIGS[case()], rng()
    await start(dut)
    dut.limit.value = LIMIT
    ram = AxiRamRead(AxiReadBus.from_prefix(dut, "axi_"), dut.clk, dut.rst, size=64 * 512)
    ram.write(
        0,
        b"".join(
            pattern(at, config.beat_bytes).to_bytes(config.beat_bytes, "little")
            for at in range(0, 64 * 512, config.beat_bytes)
        ),
    )
    ram.r_channel.set_pause_generator(iter(lambda: random.random() < 0.3, None))
    requests = [{"addr": random.randrange(300), "size": random.randrange(200)} for _ in range(5)]
    cocotb.start_soon(Source(dut, "req.0", ReadRequest).send_all(requests))
    await Sink(dut, "data.0", config.beat_bits).expect_all(beats(config, requests))
