"""COBS encoder and decoder, against an independent implementation."""

import cocotb
from amaranth import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from cobs import cobs

from rtl.link.cobs import DECODED, PACKET, CobsDecoder, CobsEncoder
from sim.harness.bench import Sink, Source, rng, start


class Cobs(wiring.Component):
    """An encoder and a decoder that have nothing to do with each other."""

    def __init__(self):
        super().__init__(
            {
                "packet": In(stream.Signature(PACKET)),
                "frame": Out(stream.Signature(8)),
                "line": In(stream.Signature(8)),
                "decoded": Out(stream.Signature(DECODED)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.encoder = encoder = CobsEncoder()
        m.submodules.decoder = decoder = CobsDecoder()
        wiring.connect(m, wiring.flipped(self.packet), encoder.i)
        wiring.connect(m, encoder.o, wiring.flipped(self.frame))
        wiring.connect(m, wiring.flipped(self.line), decoder.i)
        wiring.connect(m, decoder.o, wiring.flipped(self.decoded))
        return m


CASES = {"only": lambda: Cobs()}


def packets():
    """Packets of all sizes at which something changes, with and without zeros."""
    random = rng("packets")
    for size in (1, 2, 3, 253, 254, 255, 256, 507, 508, 509, 510):
        ones = bytes(random.randrange(1, 256) for _ in range(size))
        yield ones
        yield bytes(size)
        yield ones[:-1] + b"\0"
        yield b"\0" + ones[1:]
        yield bytes(random.choice([0, random.randrange(256)]) for _ in range(size))


async def expect(sink, items):
    """Compare what comes with items `(byte, end, good)`, in which None is anything."""
    for n, item in enumerate(items):
        got = await sink.receive()
        for name, want in zip(("byte", "end", "good"), item):
            assert want is None or got[name] == want, (
                f"payload {n}: {name} must be {want}, not {got[name]}"
            )


def decoded(packet, good=1):
    return [(byte, 0, None) for byte in packet] + [(None, 1, good)]


@cocotb.test()
@cocotb.parametrize(gap=[0, 0.5], stall=[0, 0.5])
async def encode(dut, gap, stall):
    await start(dut)
    chosen = list(packets())[:: 1 if gap == stall == 0 else 3]
    items = [
        {"byte": byte, "last": n == len(packet) - 1}
        for packet in chosen
        for n, byte in enumerate(packet)
    ]
    source = cocotb.start_soon(Source(dut, "packet", PACKET, gap=gap).send_all(items))
    sink = Sink(dut, "frame", 8, stall=stall)
    for packet in chosen:
        await sink.expect_all(cobs.encode(packet) + b"\0")
    await source
    await sink.expect_none(300)


@cocotb.test()
@cocotb.parametrize(gap=[0, 0.5], stall=[0, 0.5])
async def decode(dut, gap, stall):
    await start(dut)
    chosen = list(packets())[:: 1 if gap == stall == 0 else 3]
    # What came before does not matter, nor do zeros between frames.
    line = b"\0\0" + b"\0\0".join(map(cobs.encode, chosen)) + b"\0\0"
    source = cocotb.start_soon(Source(dut, "line", 8, gap=gap).send_all(line))
    sink = Sink(dut, "decoded", DECODED, stall=stall)
    await expect(sink, [item for packet in chosen for item in decoded(packet)])
    await source
    await sink.expect_none(30)


@cocotb.test()
async def cut_short(dut):
    """A frame that lacks its end is not good; the one behind it is whole."""
    await start(dut)
    whole = bytes(range(1, 40))
    line = (
        b"".join(cobs.encode(whole)[:n] + b"\0" for n in range(2, 40)) + cobs.encode(whole) + b"\0"
    )
    source = cocotb.start_soon(Source(dut, "line", 8).send_all(line))
    sink = Sink(dut, "decoded", DECODED)
    await expect(
        sink,
        [item for n in range(2, 40) for item in decoded(whole[: n - 1], good=0)] + decoded(whole),
    )
    await source


@cocotb.test()
async def reset_within_a_frame(dut):
    await start(dut)
    frame = cobs.encode(bytes([5, 0, 6, 7]))
    await Source(dut, "line", 8, gap=0).send_all(frame[:2])
    await Source(dut, "packet", PACKET, gap=0).send_all([{"byte": 9, "last": 0}] * 3)
    await start(dut)
    source = cocotb.start_soon(Source(dut, "line", 8).send_all(frame + b"\0"))
    await expect(Sink(dut, "decoded", DECODED), decoded([5, 0, 6, 7]))
    await source
    source = cocotb.start_soon(Source(dut, "packet", PACKET).send_all([{"byte": 0, "last": 1}]))
    await Sink(dut, "frame", 8).expect_all([1, 1, 0])
    await source
