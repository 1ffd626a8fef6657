"""The whole link, with the real host at the other end of the serial line."""

import zlib

import cocotb
from cocotb.task import bridge, resume
from cocotb.triggers import Event, FallingEdge, First, Timer
from cocotb.utils import get_sim_time

from host.device import DeviceError
from host.link.client import Client, LinkError
from rtl.link.link import UartLink
from rtl.spec.config import get
from rtl.spec.csr import REGISTERS
from rtl.spec.protocol import Status
from sim.harness.bench import cycles, rng, start

from ._link import connect


CONFIG = get("small")
UNITS, DIVISOR, BOARD = 100, 4, 3
CASES = {"only": lambda: UartLink(CONFIG, divisor=DIVISOR, board=BOARD, units=UNITS, patience=500)}
CONTROL = REGISTERS["CONTROL"].address
BIT_NS = 10 * DIVISOR


class Port:
    """A serial port in simulated time, which mangles bytes.

    Parameters
    ----------
    noise : :class:`float`
        Rate at which bytes are damaged, at which they are lost, doubled and put in, each.
    """

    byte_seconds = 10 * BIT_NS * 1e-9

    def __init__(self, dut, noise=0.0):
        self.dut, self.noise, self.random = dut, noise, rng("noise")
        self.out, self.coming, self.news = bytearray(), bytearray(), Event()
        self.more = Event()
        self.write, self.read = resume(self._write), resume(self._read)

    def mangle(self, data):
        out = bytearray()
        for byte in data:
            lot = int(self.random.random() / self.noise) if self.noise else 4
            if lot == 0:
                byte ^= self.random.randrange(1, 256)
            if lot != 1:
                out.append(byte)
            if lot == 2:
                out.append(byte)
            if lot == 3:
                out.append(self.random.randrange(256))
        return out

    async def _write(self, data):
        self.out += self.mangle(data)
        self.more.set()

    async def _read(self, timeout):
        if not self.coming:
            self.news.clear()
            await First(self.news.wait(), Timer(max(1, round(timeout * 1e9)), "ns"))
        data, self.coming = bytes(self.coming), bytearray()
        return data

    async def send(self):
        """Put on the line what is written."""
        while True:
            if not self.out:
                self.more.clear()
                await self.more.wait()
            byte = self.out.pop(0)
            for bit in [0, *(byte >> n & 1 for n in range(8)), 1]:
                self.dut.rx.value = bit
                await Timer(BIT_NS, "ns")

    async def receive(self):
        """Take from the line what can be read."""
        while True:
            await FallingEdge(self.dut.tx)
            byte = 0
            for n in range(8):
                await Timer(BIT_NS if n else BIT_NS * 3 // 2, "ns")
                byte |= int(self.dut.tx.value) << n
            await Timer(BIT_NS, "ns")
            assert int(self.dut.tx.value), "no stop bit"
            self.coming += self.mangle([byte])
            self.news.set()


async def begin(dut, noise=0.0):
    await start(dut)
    dut.rx.value = 1
    buses = connect(dut, rng("buses"), size=64 * UNITS, beat_bytes=CONFIG.beat_bytes, separator="_")
    for bus in buses:
        bus.lazy = True
        cocotb.start_soon(bus.run())
    await reset(dut)
    port = Port(dut, noise)
    cocotb.start_soon(port.send())
    cocotb.start_soon(port.receive())
    client = Client(port, timeout=30e-6, patience=20e-3, clock=lambda: get_sim_time("ns") * 1e-9)
    return client, *buses


async def reset(dut):
    dut.rst.value = 1
    await cycles(dut, 3)
    dut.rst.value = 0
    await cycles(dut, 3)


@cocotb.test()
async def load_and_start(dut):
    client, memory, registers, control = await begin(dut)
    random = rng("image")
    image, behind = random.randbytes(64 * 9), bytes(memory.data[64 * 9 :])
    registers.values |= {
        REGISTERS["BEST"].address + 4 * n: random.getrandbits(32) for n in range(8)
    }

    def use():
        hello = client.hello()
        assert (hello["board"], hello["memory_units"]) == (BOARD, UNITS)
        try:
            client.write(CONTROL, 1)
            raise AssertionError("started without an image")
        except LinkError as error:
            assert error.status == Status.UNSEALED
        done = []
        client.load(image, done.append)
        assert done[-1] == len(image)
        client.write(CONTROL, 1)
        client.write(1 << 28 | 7, 0xCAFE)
        assert client.read(1 << 28 | 7) == 0xCAFE
        addresses = [REGISTERS["BEST"].address + 4 * n for n in range(8)]
        assert client.read_all(addresses) == [registers.values[a] for a in addresses]
        for value in (0xFFFF_FFFF, 0):
            client.write(1 << 28 | 7, value)
            assert client.read(1 << 28 | 7) == value
        # An error of any bus reaches the host.
        control.errors.add(9)
        registers.errors |= {0x90, 0x94}
        for address in (1 << 28 | 9, 0x90, 0x94):
            for access in (client.read, lambda address: client.write(address, 1)):
                try:
                    access(address)
                    raise AssertionError(f"no error at {address:#x}")
                except LinkError as error:
                    assert error.status == Status.BUS
        assert client.check(0, UNITS) == zlib.crc32(memory.data)
        for unit in (1, 2, 4, 8, UNITS - 1):
            assert client.check(unit, 1) == zlib.crc32(memory.data[64 * unit :][:64])
        # What is there is not sent again.
        writes = len(memory.writes)
        client.load(image)
        assert len(memory.writes) == writes
        assert client.repeats == 0

    await bridge(use)()
    assert memory.data == image + behind and int(dut.sealed.value)
    assert registers.log[0] == (CONTROL, 1)
    assert control.log == [
        *((7, value) for written in (0xCAFE, 0xFFFF_FFFF, 0) for value in (written, None)),
        (9, None),
        (9, 1),
    ]


@cocotb.test()
async def bad_line(dut):
    client, memory, registers, control = await begin(dut, noise=0.002)
    image = rng("image").randbytes(64 * 6)

    def use():
        client.hello()
        client.load(image)
        for n in range(10):
            client.write(0x80, n)
            assert client.read(0x80) == n
        client.write(CONTROL, 1)

    await bridge(use)()
    assert memory.data[: len(image)] == image
    # However often they were sent.
    writes = [access for access in registers.log if access[1] is not None]
    assert writes == [*((0x80, n) for n in range(10)), (CONTROL, 1)]
    assert client.repeats > 0


@cocotb.test()
async def reset_while_loading(dut):
    client, memory, registers, control = await begin(dut)
    image = rng("image").randbytes(64 * 8)

    @resume
    async def reset_board():
        await reset(dut)

    def use():
        client.hello()
        try:
            client.load(image, lambda done: reset_board())
            raise AssertionError("the reset was not noticed")
        except DeviceError as error:
            assert "was reset meanwhile" in str(error)
        client.hello()
        try:
            client.write(CONTROL, 1)
            raise AssertionError("a part of an image was started")
        except LinkError as error:
            assert error.status == Status.UNSEALED
        client.load(image)
        client.write(CONTROL, 1)

    await bridge(use)()
    assert memory.data[: len(image)] == image and registers.log == [(CONTROL, 1)]
