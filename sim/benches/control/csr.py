"""Register file: every register, byte strobes, refusals."""

import cocotb
from cocotb.triggers import FallingEdge
from cocotbext.axi import AxiLiteBus, AxiLiteMaster, AxiResp

from rtl.control.csr import WINDOWS, RegisterFile
from rtl.spec.csr import REGISTERS
from sim.harness.bench import cycles, rng, start


CASES = {"only": lambda: RegisterFile()}


async def begin(dut, pauses):
    await start(dut)
    host = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "axi_"), dut.clk, dut.rst)
    if pauses:
        random = rng("pauses")
        for channel in (
            host.write_if.aw_channel,
            host.write_if.w_channel,
            host.write_if.b_channel,
            host.read_if.ar_channel,
            host.read_if.r_channel,
        ):
            channel.set_pause_generator(iter(lambda: random.random() < 0.5, None))
    return host


@cocotb.test()
@cocotb.parametrize(pauses=[False, True])
async def registers(dut, pauses):
    """Every bit of each is written and read, as it is and as its complement."""
    host = await begin(dut, pauses)
    for flip in (0, 0xFFFFFFFF, 0):
        await write_and_read(dut, host, flip)


async def write_and_read(dut, host, flip):
    random = rng()
    written = {}
    for r in (r for r in REGISTERS.values() if r.access == "rw"):
        for n in range(r.count):
            written[r.address + 4 * n] = value = random.getrandbits(32) ^ flip
            await host.write_dword(r.address + 4 * n, value)
            if r.count == 1:
                assert int(getattr(dut, r.name.lower()).value) == value
    for address, value in written.items():
        assert await host.read_dword(address) == value
        # One byte changes, its neighbours do not.
        await host.write_byte(address + 2, value >> 16 & 0xFF ^ 0xFF)
        assert await host.read_dword(address) == value ^ 0xFF0000
        await host.write_byte(address + 1, value >> 8 & 0xFF ^ 0xFF)
        assert await host.read_dword(address) == value ^ 0xFFFF00

    token = REGISTERS["TOKEN"]
    for n in range(token.count):
        dut.token_index.value = n
        await cycles(dut, 2)
        assert int(dut.token_word.value) == written[token.address + 4 * n] ^ 0xFFFF00

    for r in (r for r in REGISTERS.values() if r.access == "r" and r.name not in WINDOWS):
        value = random.getrandbits(32 * r.count) ^ flip * sum(1 << 32 * n for n in range(r.count))
        getattr(dut, r.name.lower()).value = value
        for n in range(r.count):
            assert await host.read_dword(r.address + 4 * n) == value >> 32 * n & 0xFFFFFFFF


@cocotb.test()
@cocotb.parametrize(name=list(WINDOWS))
async def window(dut, name):
    host = await begin(dut, False)
    index_port, word_port = (getattr(dut, f"{name.lower()}_{part}") for part in ("index", "word"))

    def word(index):
        return 0x9E37_79B1 * (index + 1) & 0xFFFFFFFF

    async def answer():
        index = 0
        while True:
            await cycles(dut)
            word_port.value = word(index)
            index = int(index_port.value)

    cocotb.start_soon(answer())
    register = REGISTERS[name]
    for n in (0, 1, register.count // 2 + 13, *range(2, 20), register.count - 1):
        assert await host.read_dword(register.address + 4 * n) == word(n)


@cocotb.test()
async def strobe_and_refusals(dut):
    host = await begin(dut, False)
    seen = []

    async def watch():
        while True:
            await FallingEdge(dut.clk)
            if int(dut.control_write.value):
                seen.append(int(dut.control_write.value))

    cocotb.start_soon(watch())
    control = REGISTERS["CONTROL"].address
    values = [1, 2, 3, 0x5555_5555, 0xAAAA_AAAA, 1]
    for value in values:
        assert (await host.write(control, value.to_bytes(4, "little"))).resp == AxiResp.OKAY
    assert seen == values
    assert (await host.read(control, 4)).resp == AxiResp.SLVERR
    assert (await host.read(0x03C, 4)).resp == AxiResp.SLVERR
    assert (await host.read(0xFFC, 4)).resp == AxiResp.SLVERR
    for address in (0xFFC, REGISTERS["BEST"].address, REGISTERS["STATUS"].address):
        assert (await host.write(address, bytes(4))).resp == AxiResp.SLVERR
    assert (await host.write(REGISTERS["PROGRAM"].address, bytes(4))).resp == AxiResp.OKAY
    assert (await host.read(REGISTERS["STATUS"].address, 4)).resp == AxiResp.OKAY
