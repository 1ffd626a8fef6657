"""AXI4 width converter: data integrity, memory's bursts, and a beat every cycle."""

import cocotb
from cocotb.triggers import FallingEdge
from cocotb.utils import get_sim_time
from cocotbext.axi import AxiResp

from rtl.bus.widener import AXI4Widener
from sim.harness.bench import case, rng

from ._ends import SIZE, begin
from ._memory import answering


WIDTHS = {"small": (64, 128), "wide": (16, 128)}
CASES = {
    name: lambda narrow=narrow, wide=wide: AXI4Widener(20, narrow, 4, wide)
    for name, (narrow, wide) in WIDTHS.items()
}
PERIOD = 10  # ns, of the clock


def watch(dut, end, channel, *names):
    """Fields, and the cycle, of each transfer that passes an end of a channel from now on."""
    found = []

    def port(name):
        return int(getattr(dut, f"{end}__{channel}{name}").value)

    async def look():
        while True:
            await FallingEdge(dut.clk)
            if port("valid") and port("ready"):
                found.append((get_sim_time("ns") // PERIOD, *map(port, names)))

    cocotb.start_soon(look())
    return found


@cocotb.test()
@cocotb.parametrize(stall=[0, 0.3, 0.8])
async def same(dut, stall):
    """Reads of whole words, writes of any bytes, several at a time, with all identifiers."""
    master, ram = await begin(dut, stall)
    beat, word = (width // 8 for width in WIDTHS[case()])

    async def use(base, part):
        random = rng(f"part {base}")
        want = bytearray(ram.read(base, part))
        for _ in range(16):
            at = random.randrange(part)
            size = min(random.choice([1, beat, 4 * beat, random.randint(1, 32 * beat)]), part - at)
            if random.random() < 0.5:
                want[at : at + size] = data = random.randbytes(size)
                await master.write(base + at, data, awid=random.randrange(16))
            at -= at % word
            size = min(word * random.choice([1, 4, random.randint(1, 32)]), part - at)
            got = await master.read(base + at, size, arid=random.randrange(16))
            assert got.data == want[at : at + size]
        assert ram.read(base, part) == want

    parts = 4
    for task in [cocotb.start_soon(use(n * SIZE // parts, SIZE // parts)) for n in range(parts)]:
        await task


@cocotb.test()
async def one_beat_every_cycle(dut):
    """Reading, as whole words of memory; writing, with a cycle more for each burst."""
    master, ram = await begin(dut)
    beat, word = (width // 8 for width in WIDTHS[case()])
    beats = 64
    asked = watch(dut, "o", "ar", "len", "size")
    read = watch(dut, "i", "r", "last")
    await master.read(0, beats * beat)
    assert [fields for _, *fields in asked] == [[beats * beat // word - 1, (word - 1).bit_length()]]
    assert [last for _, last in read] == [0] * (beats - 1) + [1]
    assert read[-1][0] - read[0][0] == beats - 1
    written = watch(dut, "o", "w")
    for _ in range(2):
        await master.write(0, bytes(beats * beat))
    assert len(written) == 2 * beats
    assert written[beats - 1][0] - written[0][0] == beats - 1


@cocotb.test()
async def data_before_their_address(dut):
    """Data wait for an address, however early they come."""
    master, ram = await begin(dut)
    beat, word = (width // 8 for width in WIDTHS[case()])
    master.write_if.aw_channel.pause = True
    for n in range(word // beat):
        write = cocotb.start_soon(master.write(n * beat, bytes([n + 1]) * beat))
        for _ in range(20):
            await FallingEdge(dut.clk)
            assert not int(dut.o__wvalid.value) and not int(dut.i__wready.value)
        master.write_if.aw_channel.pause = False
        await write
        master.write_if.aw_channel.pause = True
    assert ram.read(0, word) == b"".join(bytes([n + 1]) * beat for n in range(word // beat))


@cocotb.test()
async def answers(dut):
    """Memory's errors reach the manager."""
    master, ram = await begin(dut)
    answer = answering(ram)
    for now in (AxiResp.SLVERR, AxiResp.OKAY, AxiResp.DECERR, AxiResp.OKAY):
        answer(now)
        assert (await master.read(0, 64)).resp == now
        assert (await master.write(0, bytes(64))).resp == now
