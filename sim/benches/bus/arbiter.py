"""Arbiter of two managers: data integrity, fairness, and a beat every cycle."""

import logging

import cocotb
from cocotb.triggers import ClockCycles, FallingEdge
from cocotb.utils import get_sim_time
from cocotbext.axi import AxiBus, AxiMaster, AxiRam, AxiResp

from rtl.bus.arbiter import Arbiter
from sim.harness.bench import case, cycles, rng, start

from ._memory import answering


ID_BITS = 4
FIELDS = ("id", "addr", "len", "size", "burst")
WIDTHS = {"small": 128, "wide": 512}
CASES = {name: lambda width=width: Arbiter(20, width, ID_BITS) for name, width in WIDTHS.items()}
HALF = 1 << 19  # bytes that each manager has for itself: all bits of addresses matter


async def begin(dut, stall=0.0):
    logging.getLogger("cocotb.arbiter").setLevel(logging.WARNING)
    await start(dut)
    masters = [AxiMaster(AxiBus.from_prefix(dut, f"i__{n}_"), dut.clk, dut.rst) for n in range(2)]
    ram = AxiRam(AxiBus.from_prefix(dut, "o_"), dut.clk, dut.rst, size=2 * HALF)
    ram.write(0, rng("memory").randbytes(2 * HALF))
    ends = [
        ram.write_if.aw_channel,
        ram.write_if.w_channel,
        ram.write_if.b_channel,
        ram.read_if.ar_channel,
        ram.read_if.r_channel,
    ]
    for n, master in enumerate(masters):
        ends += [master.write_if.w_channel, master.write_if.b_channel, master.read_if.r_channel]
    for n, end in enumerate(ends if stall else ()):
        random = rng(f"stall {n}")
        end.set_pause_generator(iter(lambda random=random: random.random() < stall, None))
    for channel in "ar", "aw":
        cocotb.start_soon(watch_addresses(dut, channel))
    return masters, ram


async def watch_addresses(dut, channel):
    """Each manager's addresses come out in order, all of their fields as they went in."""

    def taken(port):
        def value(name):
            return int(getattr(dut, f"{port}_{channel}{name}").value)

        return value("valid") and value("ready") and [value(name) for name in FIELDS]

    waiting = [[], []]
    while True:
        await FallingEdge(dut.clk)
        if out := taken("o_"):
            id, *rest = out
            source = id >> ID_BITS - 1
            want = waiting[source].pop(0)
            assert [id & (1 << ID_BITS - 1) - 1, *rest] == want, (
                f"{channel} of manager {source} was {want}, is {out}"
            )
        for n in range(2):
            if address := taken(f"i__{n}_"):
                waiting[n].append(address)


@cocotb.test()
@cocotb.parametrize(stall=[0, 0.3, 0.8])
async def both(dut, stall):
    """Both write and read at their own places, several bursts at a time, with all identifiers.

    Of eight places, half are the second one's: all bits of addresses change.
    """
    masters, ram = await begin(dut, stall)
    beat = WIDTHS[case()] // 8

    async def use(n, start):
        random = rng(f"manager {n} {start}")
        want = bytearray(ram.read(start, HALF // 4))
        for _ in range(12):
            at = beat * random.randrange(len(want) // beat)
            size = min(beat * random.choice([1, 4, random.randint(1, 64)]), len(want) - at)
            if random.random() < 0.5:
                # Any byte alone as well: strobes go with the data.
                at, size = (at, size) if random.random() < 0.5 else (at + random.randrange(beat), 1)
                data = random.randbytes(size)
                await masters[n].write(start + at, data, awid=random.randrange(8))
                want[at : at + size] = data
            got = await masters[n].read(start + at, size, arid=random.randrange(8))
            assert got.data == want[at : at + size]
        assert ram.read(start, len(want)) == want

    places = [(k.bit_count() % 2, k * HALF // 4) for k in range(8)]
    for task in [cocotb.start_soon(use(n, at)) for n, at in places]:
        await task


@cocotb.test()
@cocotb.parametrize(channel=["ar", "aw"], stall=[0, 0.5])
async def in_turn(dut, channel, stall):
    """While both ask, each second burst is the other's, however long memory takes for each."""
    masters, ram = await begin(dut, stall)
    beat = WIDTHS[case()] // 8
    order = []

    async def watch():
        valid, ready, id = (
            getattr(dut, f"o__{channel}{name}") for name in ("valid", "ready", "id")
        )
        while True:
            await FallingEdge(dut.clk)
            if int(valid.value) and int(ready.value):
                order.append(int(id.value) >> 3)

    watcher = cocotb.start_soon(watch())
    # What is out of turn first: one of them alone.
    size, count = 4 * beat, 20
    if channel == "ar":
        await masters[0].read(0, size)
    else:
        await masters[0].write(0, bytes(size))
    tasks = [
        cocotb.start_soon(
            masters[n].read(n * HALF + k * size, size)
            if channel == "ar"
            else masters[n].write(n * HALF + k * size, bytes(size))
        )
        for k in range(count)
        for n in range(2)
    ]
    for task in tasks:
        await task
    assert order[0] == 0 and order.count(0) == count + 1 and order.count(1) == count
    both = order[2:-2]
    assert all(a != b for a, b in zip(both, both[1:]))
    watcher.cancel()


@cocotb.test()
async def one_beat_every_cycle(dut):
    """Reading, one manager alone, and both."""
    masters, ram = await begin(dut)
    beat = WIDTHS[case()] // 8
    for users in ([0], [1], [0, 1]):
        beats = []

        async def watch():
            while True:
                await FallingEdge(dut.clk)
                if int(dut.o__rvalid.value) and int(dut.o__rready.value):
                    beats.append(get_sim_time("ns"))

        watcher = cocotb.start_soon(watch())
        tasks = [
            cocotb.start_soon(masters[n].read(n * HALF + k * 64 * 16, 64 * 16))
            for k in range(8)
            for n in users
        ]
        for task in tasks:
            await task
        watcher.cancel()
        count = 8 * len(users) * 64 * 16 // beat
        assert len(beats) == count
        # The model of memory pauses a cycle between bursts.
        bursts = 8 * len(users)
        assert beats[-1] - beats[0] <= 10 * (count - 1 + bursts)


@cocotb.test()
async def addresses_wait(dut):
    """An address is taken while memory takes none, and another manager's too."""
    masters, ram = await begin(dut)
    ram.read_if.ar_channel.pause = True
    for n in range(2):
        for k in range(4):
            cocotb.start_soon(masters[n].read(n * HALF, 16))
    await cycles(dut, 20)
    await FallingEdge(dut.clk)
    assert int(dut.o__arvalid.value) and int(dut.o__arid.value) >> 3 in (0, 1)
    first = int(dut.o__arid.value)
    for n in range(2):
        assert not int(getattr(dut, f"i__{n}__arready").value)
    # What is offered stays until it is taken.
    await ClockCycles(dut.clk, 10)
    assert int(dut.o__arvalid.value) and int(dut.o__arid.value) == first
    ram.read_if.ar_channel.pause = False
    await cycles(dut, 60)
    assert not int(dut.o__arvalid.value)


@cocotb.test()
async def answers(dut):
    """Memory's errors reach who asked."""
    masters, ram = await begin(dut)
    answer = answering(ram)
    for now in (AxiResp.SLVERR, AxiResp.OKAY, AxiResp.DECERR, AxiResp.OKAY):
        answer(now)
        for n, master in enumerate(masters):
            assert (await master.read(n * HALF, 64)).resp == now
            assert (await master.write(n * HALF, bytes(64))).resp == now
