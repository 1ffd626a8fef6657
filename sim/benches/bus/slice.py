"""AXI4 register slice: data integrity, and a beat every cycle."""

import cocotb
from cocotb.triggers import FallingEdge
from cocotb.utils import get_sim_time
from cocotbext.axi import AxiResp

from rtl.bus.slice import AXI4Slice
from sim.harness.bench import case, rng, start

from ._ends import SIZE, begin
from ._memory import answering


WIDTHS = {"small": 128, "wide": 512}
CASES = {name: lambda width=width: AXI4Slice(20, width, 4) for name, width in WIDTHS.items()}
PERIOD = 10  # ns, of the clock
CHANNELS = {"ar": ("i", "o"), "aw": ("i", "o"), "w": ("i", "o"), "r": ("o", "i"), "b": ("o", "i")}


def times(dut, found):
    """Note when a transfer passes each end of each channel."""

    async def watch():
        while True:
            await FallingEdge(dut.clk)
            for channel in CHANNELS:
                for end in "io":
                    if all(
                        int(getattr(dut, f"{end}__{channel}{name}").value)
                        for name in ("valid", "ready")
                    ):
                        found[channel, end].append(get_sim_time("ns") // PERIOD)

    return cocotb.start_soon(watch())


@cocotb.test()
@cocotb.parametrize(stall=[0, 0.3, 0.8])
async def same(dut, stall):
    """Bursts of all lengths, several at a time, with all identifiers."""
    master, ram = await begin(dut, stall)
    beat = WIDTHS[case()] // 8

    async def use(base, part):
        random = rng(f"part {base}")
        want = bytearray(ram.read(base, part))
        for _ in range(16):
            at = random.randrange(part)
            size = min(random.choice([1, beat, 4 * beat, random.randint(1, 64 * beat)]), part - at)
            if random.random() < 0.5:
                want[at : at + size] = data = random.randbytes(size)
                await master.write(base + at, data, awid=random.randrange(16))
            got = await master.read(base + at, size, arid=random.randrange(16))
            assert got.data == want[at : at + size]
        assert ram.read(base, part) == want

    parts = 4
    for task in [cocotb.start_soon(use(n * SIZE // parts, SIZE // parts)) for n in range(parts)]:
        await task


@cocotb.test()
async def answers(dut):
    """Memory's errors reach the manager."""
    master, ram = await begin(dut)
    answer = answering(ram)
    for now in (AxiResp.SLVERR, AxiResp.OKAY, AxiResp.DECERR, AxiResp.OKAY):
        answer(now)
        assert (await master.read(0, 64)).resp == now
        assert (await master.write(0, bytes(64))).resp == now


@cocotb.test()
async def a_cycle_later(dut):
    """Nothing passes in the cycle in which it comes, and without stalls nothing waits."""
    master, ram = await begin(dut)
    beat = WIDTHS[case()] // 8
    found = {(channel, end): [] for channel in CHANNELS for end in "io"}
    watcher = times(dut, found)
    await master.write(0, bytes(64 * beat))
    await master.read(0, 64 * beat)
    watcher.cancel()
    for channel, (source, sink) in CHANNELS.items():
        assert found[channel, source], channel
        assert [time + 1 for time in found[channel, source]] == found[channel, sink], channel
    bursts = -(-64 * beat // 4096)
    for channel in ("w", "r"):
        beats = found[channel, CHANNELS[channel][1]]
        assert len(beats) == 64 and beats[-1] - beats[0] <= 64 + bursts


@cocotb.test()
@cocotb.parametrize(channel=list(CHANNELS))
async def closed(dut, channel):
    """A channel whose far end takes nothing holds two transfers, as they are, and takes no more."""
    await start(dut, watch=False)  # a channel alone is no legal bus
    source, sink = CHANNELS[channel]
    fields = [
        name
        for name in ("id", "addr", "data", "last")
        if hasattr(dut, f"{source}__{channel}{name}")
    ]
    random, taken = rng(channel), []
    ready, offered = 0, {}

    def port(end, name):
        return getattr(dut, f"{end}__{channel}{name}")

    for n in range(40):
        await FallingEdge(dut.clk)
        if n and int(port(source, "valid").value) and ready:
            taken.append(offered)
        offered = {name: random.getrandbits(len(port(source, name))) for name in fields}
        for name, value in offered.items():
            port(source, name).value = value
        port(source, "valid").value = 1
        ready = int(port(source, "ready").value)
        assert not (len(taken) >= 2 and ready)
    assert len(taken) == 2
    for want in taken:
        port(source, "valid").value = 0
        port(sink, "ready").value = 1
        assert int(port(sink, "valid").value)
        assert {name: int(port(sink, name).value) for name in fields} == want
        await FallingEdge(dut.clk)
    assert not int(port(sink, "valid").value)
