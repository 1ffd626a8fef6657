"""UART: both directions, baud rate mismatch, noise, and overruns."""

import cocotb
from amaranth import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from cocotb.triggers import FallingEdge, RisingEdge

from rtl.link.uart import UartReceiver, UartTransmitter
from sim.harness.bench import Sink, Source, case, cycles, rng, start


class Uart(wiring.Component):
    """A receiver and a transmitter that have nothing to do with each other."""

    def __init__(self, divisor):
        self.divisor = divisor
        super().__init__(
            {"rx": In(1), "o": Out(stream.Signature(8)), "tx": Out(1), "i": In(stream.Signature(8))}
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.rx = rx = UartReceiver(self.divisor)
        m.submodules.tx = tx = UartTransmitter(self.divisor)
        wiring.connect(m, rx.o, wiring.flipped(self.o))
        wiring.connect(m, wiring.flipped(self.i), tx.i)
        m.d.comb += [rx.rx.eq(self.rx), self.tx.eq(tx.tx)]
        return m


DIVISORS = {"four": 4, "odd": 13, "slow": 50}
CASES = {name: lambda divisor=divisor: Uart(divisor) for name, divisor in DIVISORS.items()}
EDGES = [0x00, 0xFF, 0x55, 0xAA, 0x01, 0x80, 0xFE, 0x7F]


async def begin(dut):
    await start(dut)
    dut.rx.value = 1
    await reset(dut)
    return DIVISORS[case()]


async def reset(dut):
    dut.rst.value = 1
    await cycles(dut, 4)
    dut.rst.value = 0
    await cycles(dut, 4)


def some_bytes(name, count=60):
    random = rng(name)
    return EDGES + [random.randrange(256) for _ in range(count)]


async def say(dut, byte, bit, stop=1):
    """Put a byte on the line, `bit` cycles a bit, which need not be whole."""
    at = done = 0
    for value in [0, *(byte >> n & 1 for n in range(8)), stop]:
        dut.rx.value = value
        at += bit
        await cycles(dut, round(at) - done)
        done = round(at)
    dut.rx.value = 1


@cocotb.test()
@cocotb.parametrize(speed=[1.0, 0.97, 1.03])
async def receive(dut, speed):
    bit = await begin(dut) * speed
    wanted = some_bytes("receive", 20)
    sink = cocotb.start_soon(Sink(dut, "o", 8).expect_all(wanted))
    random = rng("pauses")
    for byte in wanted:
        await say(dut, byte, bit)
        # A line that is off needs the stop bit's second half; a pause may have any length.
        await cycles(dut, random.choice([0, 0, 1, 2, round(3 * bit)]) if speed == 1 else round(bit))
    await sink


@cocotb.test()
async def send(dut):
    bit = await begin(dut)
    sent = some_bytes("send", 20)
    source = cocotb.start_soon(Source(dut, "i", 8, gap=0.05).send_all(sent))
    for byte in sent:
        for _ in range(100 * bit):
            await FallingEdge(dut.clk)
            if not int(dut.tx.value):
                break
        seen = []
        for _ in range(10):  # every cycle of every bit
            seen.append([])
            for _ in range(bit):
                seen[-1].append(int(dut.tx.value))
                await FallingEdge(dut.clk)
        assert all(len(set(values)) == 1 for values in seen), f"{byte:#x}: a bit changes within"
        assert [values[0] for values in seen] == [0, *(byte >> n & 1 for n in range(8)), 1]
    await source
    for _ in range(30 * bit):
        await FallingEdge(dut.clk)
        assert int(dut.tx.value)


@cocotb.test()
async def back_to_back(dut):
    bit = await begin(dut)
    source = cocotb.start_soon(Source(dut, "i", 8, gap=0).send_all(range(8)))
    begun = 0
    while not source.done():
        await RisingEdge(dut.clk)
        begun += 1
    assert begun <= 8 * (10 * bit + 1) + 5


@cocotb.test()
async def noise(dut):
    """Short pulses and missing stop bits give no byte, and what follows is right."""
    bit = await begin(dut)
    sink = Sink(dut, "o", 8, stall=0)
    if bit > 8:
        dut.rx.value = 0
        await cycles(dut, bit // 4)
        dut.rx.value = 1
        await sink.expect_none(12 * bit)
    await say(dut, 0x5A, bit, stop=0)
    await sink.expect_none(12 * bit)
    dut.rx.value = 0  # the cable is out
    await sink.expect_none(50 * bit)
    dut.rx.value = 1
    await cycles(dut, 12 * bit)
    check = cocotb.start_soon(sink.expect_all([0xA5]))
    await say(dut, 0xA5, bit)
    await check


@cocotb.test()
async def nobody_listens(dut):
    """The newest byte is the one that is there."""
    bit = await begin(dut)
    for byte in (1, 2, 3):
        await say(dut, byte, bit)
        await cycles(dut, bit)
    sink = Sink(dut, "o", 8, stall=0)
    assert await sink.receive() == 3
    await sink.expect_none(20 * bit)


@cocotb.test()
async def reset_within_a_byte(dut):
    bit = await begin(dut)
    dut.rx.value = 0
    dut.i__payload.value, dut.i__valid.value = 0, 1
    await cycles(dut, 4 * bit)
    dut.rx.value = 1
    dut.i__valid.value = 0
    await reset(dut)
    assert int(dut.tx.value)
    await cycles(dut, 2 * bit)
    check = cocotb.start_soon(Sink(dut, "o", 8, stall=0).expect_all([0xC3]))
    await say(dut, 0xC3, bit)
    await check
