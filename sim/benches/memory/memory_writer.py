"""Memory writer: against a memory that cocotbext-axi models; responses, halt and faults."""

import logging

import cocotb
from cocotb.triggers import FallingEdge
from cocotbext.axi import AxiRamWrite, AxiWriteBus

from rtl.memory.writer import MemoryWriter
from rtl.spec.config import Config, get
from rtl.spec.csr import FaultCode
from rtl.spec.limits import MAX_OUTSTANDING, UNITS
from rtl.spec.payloads import WriteLine
from sim.harness.bench import Source, cycles, rng, start


CONFIGS = {
    "narrow": Config(name="narrow", beat_bits=16, columns=1, lanes=4),
    "small": get("small"),
    "wide": get("wide"),
}
CASES = {name: lambda config=config: MemoryWriter(config) for name, config in CONFIGS.items()}
FIRST, END, LIMIT = 8, 56, 64  # what may be written, and all that there is


async def begin(dut, pause=0):
    logging.getLogger("cocotb.memory_writer").setLevel(logging.WARNING)
    await start(dut)
    dut.first.value, dut.end.value, dut.limit.value = FIRST, END, LIMIT
    ram = AxiRamWrite(AxiWriteBus.from_prefix(dut, "axi_"), dut.clk, dut.rst, size=64 * LIMIT)
    ram.write(0, bytes(range(256)) * (LIMIT // 4))
    for name in ("aw_channel", "w_channel", "b_channel") if pause else ():
        random = rng(name)
        getattr(ram, name).set_pause_generator(iter(lambda r=random: r.random() < pause, None))
    return ram


def random_line(random):
    return {
        "addr": random.choice([FIRST, END - 1, random.randrange(FIRST, END)]),
        "data": random.getrandbits(512),
        "strobe": random.choice(
            [
                0,
                (1 << 64) - 1,
                random.getrandbits(64),
                random.getrandbits(64) & random.getrandbits(64),
            ]
        ),
    }


@cocotb.test()
@cocotb.parametrize(pause=[0, 0.3, 0.8], gap=[0, 0.5])
async def lines(dut, pause, gap):
    ram = await begin(dut, pause)
    random = rng("lines")
    want = bytearray(ram.read(0, 64 * LIMIT))
    sent = [random_line(random) for _ in range(60)]
    for line in sent:
        for n in range(64):
            if line["strobe"] >> n & 1:
                want[64 * line["addr"] + n] = line["data"] >> 8 * n & 0xFF
    assert int(dut.written.value)
    await Source(dut, "line", WriteLine, gap=gap).send_all(sent)
    # The last line was accepted in the cycle before this one.
    for _ in range(1000):
        await FallingEdge(dut.clk)
        if int(dut.written.value):
            break
    assert ram.read(0, 64 * LIMIT) == want
    assert int(dut.idle.value) and not int(dut.fault.value)


@cocotb.test()
async def written_waits_for_the_response(dut):
    ram = await begin(dut)
    random = rng()
    ram.b_channel.pause = True
    source = Source(dut, "line", WriteLine, gap=0)
    sender = cocotb.start_soon(source.send_all(random_line(random) for _ in range(40)))
    await FallingEdge(dut.clk)
    assert int(dut.written.value)
    for _ in range(400):
        await FallingEdge(dut.clk)
        assert not int(dut.written.value)
    assert 2 <= source.count <= 1 + MAX_OUTSTANDING
    dut.halt.value = 1
    ram.b_channel.pause = False
    await cycles(dut, 100)
    assert int(dut.idle.value) and int(dut.written.value) and source.count <= 17
    dut.halt.value = 0
    await sender


@cocotb.test()
async def outstanding(dut):
    """As many lines as there may be without a response, and one more for each response."""
    await start(dut)
    dut.first.value, dut.end.value, dut.limit.value = FIRST, END, LIMIT
    dut.axi__awready.value = dut.axi__wready.value = 1
    random = rng()
    source = Source(dut, "line", WriteLine, gap=0)
    cocotb.start_soon(source.send_all(random_line(random) for _ in range(2 * MAX_OUTSTANDING)))
    for extra in range(4):
        await cycles(dut, 500)
        assert source.count == MAX_OUTSTANDING + extra
        dut.axi__bvalid.value = 1
        await cycles(dut)
        dut.axi__bvalid.value = 0


@cocotb.test()
@cocotb.parametrize(first=[0, UNITS - 1])
async def highest_address(dut, first):
    """The last unit of as much memory as there can be."""
    await start(dut)
    dut.first.value, dut.end.value, dut.limit.value = first, UNITS, UNITS
    dut.axi__awready.value = dut.axi__wready.value = 1
    await Source(dut, "line", WriteLine, gap=0).send({"addr": UNITS - 1, "data": 1, "strobe": 1})
    for _ in range(50):
        await FallingEdge(dut.clk)
        if int(dut.axi__awvalid.value):
            break
    assert int(dut.axi__awaddr.value) == 64 * (UNITS - 1) and not int(dut.fault.value)


@cocotb.test()
@cocotb.parametrize(
    (
        ("first", "end", "addr"),
        [
            (FIRST, END, END),
            (FIRST, END, FIRST - 1),
            (FIRST, END, 0),
            (FIRST, END, (1 << 32) - 1),
            # Past all addresses, where less bits would have one that may be written.
            (FIRST, END, (1 << 32) + FIRST),
            # An area that reaches beyond memory ends with it.
            (FIRST, 2 * LIMIT, LIMIT),
            (FIRST, (1 << 32) - 1, (1 << 32) - 2),
            # None at all.
            (FIRST, 0, FIRST),
            (FIRST, FIRST, FIRST),
            ((1 << 32) - 1, END, FIRST),
        ],
    )
)
async def faults(dut, first, end, addr):
    ram = await begin(dut)
    before = ram.read(0, 64 * LIMIT)
    dut.first.value, dut.end.value = first, end
    await Source(dut, "line", WriteLine).send({"addr": addr, "data": 1, "strobe": 1})
    await cycles(dut, 50)
    assert int(dut.fault.value) and int(dut.fault_code.value) == FaultCode.ADDRESS
    assert int(dut.fault_info.value) == addr % (1 << 32)
    assert int(dut.idle.value) and not int(dut.written.value)
    assert not int(dut.axi__awvalid.value) and not int(dut.axi__wvalid.value)
    assert ram.read(0, 64 * LIMIT) == before


@cocotb.test()
@cocotb.parametrize(response=[3, 2])
async def bus_fault(dut, response):
    await start(dut)
    dut.first.value, dut.end.value, dut.limit.value = FIRST, END, LIMIT
    dut.axi__awready.value = dut.axi__wready.value = 1
    await Source(dut, "line", WriteLine, gap=0).send(random_line(rng()))
    await cycles(dut, 50)
    assert not int(dut.fault.value) and not int(dut.written.value)
    dut.axi__bresp.value = response
    dut.axi__bvalid.value = 1
    await cycles(dut, 1)
    dut.axi__bvalid.value = dut.axi__bresp.value = 0
    await cycles(dut, 2)
    assert int(dut.fault.value) and int(dut.fault_code.value) == FaultCode.BUS
    assert int(dut.fault_info.value) == response
