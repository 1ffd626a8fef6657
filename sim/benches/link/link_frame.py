"""Packet receiver: bad packets are dropped, and the packets after them are not."""

import zlib

import cocotb
from amaranth import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from cocotb.triggers import FallingEdge

from rtl.link.cobs import DECODED, PACKET
from rtl.link.frame import SLOT, FrameReceiver, FrameTransmitter
from rtl.spec.protocol import MAX_REQUEST
from sim.harness.bench import Sink, Source, case, cycles, rng, start


class Frame(wiring.Component):
    """A receiver and a transmitter that have nothing to do with each other."""

    def __init__(self, slots):
        self.slots = slots
        super().__init__(
            {
                "i": In(stream.Signature(DECODED)),
                "packet": Out(stream.Signature(range(MAX_REQUEST + 1))),
                "addr": In(range(SLOT)),
                "byte": Out(8),
                "reply": In(stream.Signature(PACKET)),
                "o": Out(stream.Signature(PACKET)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.receiver = receiver = FrameReceiver(self.slots)
        m.submodules.transmitter = transmitter = FrameTransmitter()
        wiring.connect(m, wiring.flipped(self.i), receiver.i)
        wiring.connect(m, receiver.packet, wiring.flipped(self.packet))
        wiring.connect(m, wiring.flipped(self.reply), transmitter.i)
        wiring.connect(m, transmitter.o, wiring.flipped(self.o))
        m.d.comb += [receiver.addr.eq(self.addr), self.byte.eq(receiver.byte)]
        return m


SLOTS = {"two": 2, "four": 4}
CASES = {name: lambda slots=slots: Frame(slots) for name, slots in SLOTS.items()}


def summed(packet):
    return packet + zlib.crc32(packet).to_bytes(4, "little")


def items(raw, good=1):
    return [{"byte": byte, "end": 0, "good": 0} for byte in raw] + [
        {"byte": 0, "end": 1, "good": good}
    ]


async def look(dut, packet):
    """The packet that came first is this one. Leaves it where it is."""
    for _ in range(100):
        await FallingEdge(dut.clk)
        if int(dut.packet__valid.value):
            break
    assert int(dut.packet__valid.value) and int(dut.packet__payload.value) == len(packet)
    for n, byte in enumerate(packet):
        dut.addr.value = n
        await cycles(dut, 2)
        assert int(dut.byte.value) == byte


async def take(dut, packet):
    await cycles(dut)
    await look(dut, packet)
    assert await Sink(dut, "packet", range(MAX_REQUEST + 1), stall=0).receive() == len(packet)


@cocotb.test()
async def sizes(dut):
    await start(dut)
    random = rng()
    source = Source(dut, "i", DECODED)
    for size in (2, 3, 6, MAX_REQUEST - 1, MAX_REQUEST):
        packet = random.randbytes(size)
        await source.send_all(items(summed(packet)))
        await take(dut, packet)
    # Too short, too long, or empty: and then a good one.
    for size in (0, 1, MAX_REQUEST + 1, MAX_REQUEST + 2, 2 * SLOT):
        packet = random.randbytes(size)
        await source.send_all(items(summed(packet)))
    await source.send_all(items(b"") + items(summed(b"after")))
    await take(dut, b"after")
    await Sink(dut, "packet", range(MAX_REQUEST + 1)).expect_none()
    # In every place where one may wait, every bit of a size.
    for size in (255, 256, 2):
        for _ in range(SLOTS[case()]):
            await source.send_all(items(summed(bytes(size))))
            assert await Sink(dut, "packet", range(MAX_REQUEST + 1), stall=0).receive() == size


@cocotb.test()
async def damaged(dut):
    """Every bit of a packet counts, and so does every byte that is lost, doubled or put in."""
    await start(dut)
    random = rng("damaged")
    raw = summed(random.randbytes(12))
    wrong = [
        raw[: n // 8] + bytes([raw[n // 8] ^ 1 << n % 8]) + raw[n // 8 + 1 :]
        for n in range(8 * len(raw))
    ]
    wrong += [raw[:n] + raw[n + 1 :] for n in range(len(raw))]
    wrong += [raw[:n] + bytes([random.randrange(256)]) + raw[n:] for n in range(len(raw) + 1)]
    source = Source(dut, "i", DECODED, gap=0)
    for raw_wrong in wrong:
        assert raw_wrong != raw
        await source.send_all(items(raw_wrong))
    await source.send_all(items(raw, good=0))
    await Sink(dut, "packet", range(MAX_REQUEST + 1)).expect_none()
    await source.send_all(items(raw))
    await take(dut, raw[:-4])
    # What came before its end was damaged does not count in the next.
    await source.send_all(items(raw)[:5])
    await source.send_all(items(raw))
    await Sink(dut, "packet", range(MAX_REQUEST + 1)).expect_none()
    await source.send_all(items(raw))
    await take(dut, raw[:-4])


@cocotb.test()
async def full(dut):
    """What comes while all slots are taken is dropped, and spoils nothing."""
    slots = SLOTS[case()]
    await start(dut)
    random = rng("full")
    packets = [random.randbytes(random.choice([2, 20, MAX_REQUEST])) for _ in range(12)]
    source = Source(dut, "i", DECODED, gap=0)
    for packet in packets[: slots + 2]:
        await source.send_all(items(summed(packet)))
    await take(dut, packets[0])
    await source.send_all(items(summed(packets[-1])))
    # A slot that gets free within a packet comes too late for it.
    late = cocotb.start_soon(source.send_all(items(summed(bytes(200)))))
    await cycles(dut, 20)
    assert await Sink(dut, "packet", range(MAX_REQUEST + 1), stall=0).receive() == len(packets[1])
    await late
    for packet in [*packets[2:slots], packets[-1]]:
        await take(dut, packet)
    await Sink(dut, "packet", range(MAX_REQUEST + 1)).expect_none()


@cocotb.test()
@cocotb.parametrize(gap=[0, 0.5], stall=[0, 0.5])
async def transmit(dut, gap, stall):
    await start(dut)
    random = rng("transmit")
    packets = [random.randbytes(random.choice([1, 2, 3, 20, 260])) for _ in range(12)]
    source = cocotb.start_soon(
        Source(dut, "reply", PACKET, gap=gap).send_all(
            {"byte": byte, "last": n == len(packet) - 1}
            for packet in packets
            for n, byte in enumerate(packet)
        )
    )
    sink = Sink(dut, "o", PACKET, stall=stall)
    for packet in packets:
        raw = summed(packet)
        await sink.expect_all(
            {"byte": byte, "last": n == len(raw) - 1} for n, byte in enumerate(raw)
        )
    await source
    await sink.expect_none()


@cocotb.test()
async def reset_within_a_packet(dut):
    await start(dut)
    source = Source(dut, "i", DECODED, gap=0)
    await source.send_all(items(summed(b"waits")) + items(summed(b"half of it"))[:6])
    await Source(dut, "reply", PACKET, gap=0).send_all([])
    await start(dut)
    await Sink(dut, "packet", range(MAX_REQUEST + 1)).expect_none()
    await source.send_all(items(summed(b"whole")))
    await take(dut, b"whole")
