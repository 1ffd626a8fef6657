"""A host that talks to the bridge, and the buses behind it."""

import zlib

import cocotb

from rtl.link.cobs import DECODED, PACKET
from rtl.spec.config import Config, get
from rtl.spec.csr import REGISTERS
from rtl.spec.protocol import MESSAGES, Op, Status, pack, unpack
from sim.harness.bench import Sink, Source, case, rng, start

from ._link import connect


CONFIGS = {
    "narrow": Config(name="narrow", beat_bits=16, columns=1, lanes=4),
    "small": get("small"),
    "wide": get("wide"),
}
UNITS = 200  # memory that crosses 4 KB, and does not end at one
BOARD = 0xC0FFEE42
PATIENCE = 110  # fewer than the bytes of a beat take on `wide`
CONTROL = REGISTERS["CONTROL"].address
START = {"address": CONTROL, "value": 1}
BOARD_SPACE = 1 << 28


class Host:
    """Sends requests and receives replies, with sequence numbers of its own."""

    def __init__(self, dut, gap, stall):
        self.dut, self.number, self.tasks = dut, 0, []
        self.source = Source(dut, "i", DECODED, gap=gap)
        self.sink = Sink(dut, "o", PACKET, stall=stall, limit=60000)

    async def send(self, packet):
        raw = packet + zlib.crc32(packet).to_bytes(4, "little")
        await self.source.send_all(
            [{"byte": byte, "end": 0, "good": 0} for byte in raw]
            + [{"byte": 0, "end": 1, "good": 1}]
        )

    async def receive(self):
        raw = bytearray()
        while True:
            item = await self.sink.receive()
            raw.append(item["byte"])
            if item["last"]:
                break
        assert zlib.crc32(raw[:-4]).to_bytes(4, "little") == raw[-4:]
        return bytes(raw[:-4])

    async def raw(self, op, number, body):
        """Status and body of the reply to a request."""
        await self.send(bytes([op, number]) + body)
        reply = await self.receive()
        assert reply[:2] == bytes([op | 0x80, number])
        return reply[2], reply[3:]

    async def ask(self, op, want=Status.OK, *, data=b"", number=None, **fields):
        """The reply's values to a request whose status must be `want`."""
        self.number = number if number is not None else self.number % 255 + 1
        status, body = await self.raw(op, self.number, pack(MESSAGES[op].request, fields) + data)
        assert status == want, f"{op.name} {fields}: status must be {want.name}, not {status}"
        if status:
            assert body == b""
            return {}
        return unpack(MESSAGES[op].reply, body)


async def begin(dut, *, stall=0.2, hello=True):
    await start(dut)
    config = CONFIGS[case()]
    buses = connect(dut, rng("buses"), size=64 * UNITS, beat_bytes=config.beat_bytes, stall=stall)
    host = Host(dut, gap=0.1 if stall else 0, stall=0.1 if stall else 0)
    host.tasks = [cocotb.start_soon(bus.run()) for bus in buses]
    if hello:
        await host.ask(Op.HELLO, nonce=1)
    return host, *buses
