"""Link bridge: every operation, retransmission, the seal, and buses that fail or hang."""

import zlib

import cocotb
from cocotb.triggers import FallingEdge, RisingEdge

from rtl.link.bridge import Bridge
from rtl.spec.protocol import MAGIC, MESSAGES, Op, Status, pack
from sim.harness.bench import case, cycles, rng

from ._bridge import BOARD, BOARD_SPACE, CONFIGS, CONTROL, PATIENCE, START, UNITS, Host, begin
from ._link import connect


CASES = {
    name: lambda config=config: Bridge(config, board=BOARD, units=UNITS, patience=PATIENCE)
    for name, config in CONFIGS.items()
}


@cocotb.test()
async def strangers(dut):
    """After a reset nothing is done before a HELLO."""
    host, memory, registers, control = await begin(dut, hello=False)
    for round in range(2):
        for op, message in MESSAGES.items():
            if op != Op.HELLO:
                await host.ask(
                    op,
                    Status.STRANGER,
                    data=bytes(message.data),
                    **{field.name: 1 for field in message.request},
                )
        assert (await host.raw(0x77, 9, b""))[0] == Status.STRANGER
        assert (await host.raw(Op.HELLO, 9, b"12345"))[0] == Status.STRANGER
        assert not (memory.reads or memory.writes or registers.log or control.log)
        for nonce in (0, 0xFFFF_FFFF, 0x1234_5678):
            assert await host.ask(Op.HELLO, nonce=nonce) == {
                "nonce": nonce,
                "magic": MAGIC,
                "version": 1,
                "max_data": 256,
                "board": BOARD,
                "memory_units": UNITS,
            }
        await host.ask(Op.READ, address=4)
        registers.log.clear()
        dut.rst.value = 1
        await cycles(dut, 3)
        dut.rst.value = 0


@cocotb.test()
@cocotb.parametrize(stall=[0, 0.7])
async def accesses(dut, stall):
    host, memory, registers, control = await begin(dut, stall=stall)
    random = rng("accesses")
    for _ in range(30):
        base, bus = random.choice([(0, registers), (BOARD_SPACE, control)])
        at = (
            random.choice([0, 4, 0xFFC, 4 * random.randrange(1024)])
            if not base
            else random.choice([0, 1, (1 << 28) - 1, random.randrange(1 << 28)])
        )
        if base == 0 and at == CONTROL:
            continue
        value = random.getrandbits(32)
        if random.random() < 0.3:
            bus.errors.add(at)
        want = Status.BUS if at in bus.errors else Status.OK
        before = bus.values.get(at, 0)
        await host.ask(Op.WRITE, want, address=base + at, value=value)
        got = await host.ask(Op.READ, want, address=base + at)
        assert bus.log == [(at, value), (at, None)]
        if want == Status.OK:
            assert bus.values[at] == value and got == {"value": value}
        else:
            assert bus.values.get(at, 0) == before
        bus.log.clear()
        bus.errors.clear()
    for address in (0x1000, 0x0800_0000, 1, 2, 0x13, 0x2000_0000, 0xF000_0010):
        await host.ask(Op.READ, Status.BUS, address=address)
        await host.ask(Op.WRITE, Status.BUS, address=address, value=1)
    assert not (registers.log or control.log or memory.reads or memory.writes)


@cocotb.test()
@cocotb.parametrize(stall=[0, 0.7])
async def store_and_check(dut, stall):
    host, memory, registers, control = await begin(dut, stall=stall)
    random = rng("store")
    want = bytearray(memory.data)
    for unit, units in [
        (0, 1),
        (0, 4),
        (UNITS - 1, 1),
        (UNITS - 4, 4),
        (62, 4),
        *((random.randrange(UNITS - 4), random.randint(1, 4)) for _ in range(6)),
    ]:
        data = random.choice(
            [bytes(64 * units), b"\xff" * 64 * units, random.randbytes(64 * units)]
        )
        await host.ask(Op.STORE, unit=unit, data=data)
        want[64 * unit : 64 * (unit + units)] = data
        assert memory.data == want
    for unit, units in [(0, 1), (0, UNITS), (UNITS - 1, 1), (1, UNITS - 1), (63, 2), (10, 107)]:
        got = await host.ask(Op.CHECK, unit=unit, units=units)
        assert got == {"crc": zlib.crc32(want[64 * unit : 64 * (unit + units)])}
    memory.writes.clear()
    memory.reads.clear()
    for unit, units in [
        (UNITS, 1),
        (UNITS - 1, 2),
        (UNITS - 3, 4),
        (1 << 31, 3),
        (0xFFFF_FFFF, 1),
        (1 << 26, 1),
    ]:
        await host.ask(Op.STORE, Status.BUS, unit=unit, data=bytes(64 * units))
    for unit, units in [
        (0, 0),
        (0, UNITS + 1),
        (UNITS, 1),
        (5, UNITS),
        (1, 0xFFFF_FFFF),
        (0xFFFF_FFFF, 1),
        (0, 1 << 26),
        (0xFFFF_FFFF, 0xFFFF_FFFF),
        (0, 1 << 31),
    ]:
        await host.ask(Op.CHECK, Status.BUS, unit=unit, units=units)
        await host.ask(Op.SEAL, Status.BUS, unit=unit, units=units, crc=0)
    assert memory.data == want and not memory.writes and not memory.reads
    memory.errors.add(64 * 7)
    await host.ask(Op.STORE, Status.BUS, unit=5, data=bytes(256))
    await host.ask(Op.STORE, unit=8, data=want[512:768])
    await host.ask(Op.CHECK, Status.BUS, unit=0, units=UNITS)
    await host.ask(Op.CHECK, unit=8, units=3)


@cocotb.test()
async def rate(dut):
    """Checksums take no longer than memory that gives 4 bytes a cycle, or a narrower beat, and the
    cost of asking.
    """
    host, memory, *_ = await begin(dut, stall=0)
    begun = cocotb.utils.get_sim_time("ns")
    await host.ask(Op.CHECK, unit=0, units=UNITS)
    assert (cocotb.utils.get_sim_time("ns") - begun) / 10 <= 64 * UNITS / min(
        4, CONFIGS[case()].beat_bytes
    ) + 150
    assert max(beats for _, beats in memory.reads) == 64
    begun = cocotb.utils.get_sim_time("ns")
    await host.ask(Op.STORE, unit=0, data=bytes(256))
    # Fewer than the line takes for it, at four cycles a bit.
    assert (cocotb.utils.get_sim_time("ns") - begun) / 10 <= 10 * 4 * 266 / 4


@cocotb.test()
async def seal(dut):
    host, memory, registers, control = await begin(dut)
    area = {"unit": 3, "units": 50}

    def crc():
        return zlib.crc32(memory.data[64 * 3 : 64 * 53])

    async def starts(ok):
        registers.log.clear()
        for value in (1, 3, 0xFFFF_FFFF):
            await host.ask(
                Op.WRITE, Status.OK if ok else Status.UNSEALED, address=CONTROL, value=value
            )
        assert len(registers.log) == 3 * ok
        assert int(dut.sealed.value) == ok
        # Whatever starts nothing is allowed.
        await host.ask(Op.WRITE, address=CONTROL, value=2)
        await host.ask(Op.WRITE, address=CONTROL + 4, value=1)

    await starts(False)
    for breaks, fields, want in [
        (Op.STORE, {"unit": 100, "data": bytes(64)}, Status.OK),
        (Op.STORE, {"unit": UNITS, "data": bytes(64)}, Status.BUS),
        (Op.SEAL, {**area, "crc": None}, Status.CHECKSUM),
        (Op.SEAL, {"unit": 0, "units": UNITS + 1, "crc": 0}, Status.BUS),
        (Op.WRITE, {"address": BOARD_SPACE + 5, "value": 0}, Status.OK),
    ]:
        await host.ask(Op.SEAL, **area, crc=crc())
        await starts(True)
        await host.ask(Op.CHECK, **area)
        await host.ask(Op.READ, address=BOARD_SPACE)
        await host.ask(Op.HELLO, nonce=3)
        await starts(True)
        if fields.get("crc", 0) is None:
            fields["crc"] = crc() ^ 1 << 31
        await host.ask(breaks, want, **fields)
        await starts(False)
    await host.ask(Op.SEAL, **area, crc=crc())
    memory.errors.add(64 * 20)
    await host.ask(Op.SEAL, Status.BUS, **area, crc=crc())
    await starts(False)
    memory.errors.clear()
    await host.ask(Op.SEAL, **area, crc=crc())
    dut.rst.value = 1
    await cycles(dut, 2)
    dut.rst.value = 0
    await host.ask(Op.WRITE, Status.STRANGER, **START)
    await host.ask(Op.HELLO, nonce=1)
    await starts(False)


@cocotb.test()
async def repeated(dut):
    """A request that comes again is answered again, and not executed again."""
    host, memory, registers, control = await begin(dut)

    async def same(op, want=Status.OK, times=3, **fields):
        await host.ask(op, want, number=77, **fields)
        for bus in (registers, control):
            del bus.log[:-1]
        counts = [len(x) for x in (registers.log, control.log, memory.reads, memory.writes)]
        reply = None
        for _ in range(times):
            got = await host.ask(op, want, number=77, **fields)
            assert reply in (None, got)
            reply = got
            registers.values[4] = registers.values.get(4, 0) + 1
        assert [len(x) for x in (registers.log, control.log, memory.reads, memory.writes)] == counts

    await same(Op.WRITE, address=0x80, value=5)
    await same(Op.READ, address=4)
    await same(Op.WRITE, Status.UNSEALED, **START)
    await same(Op.STORE, unit=3, data=bytes(128))
    await same(Op.CHECK, unit=3, units=2)
    await same(Op.SEAL, unit=3, units=2, crc=zlib.crc32(bytes(128)))
    await same(Op.WRITE, **START)
    await same(Op.READ, Status.BUS, address=1)
    await same(Op.SEAL, Status.CHECKSUM, unit=3, units=2, crc=0)
    # What is not executed does not count.
    assert (await host.raw(0x55, 77, b""))[0] == Status.MALFORMED
    await host.ask(Op.SEAL, Status.CHECKSUM, number=77, unit=3, units=2, crc=0)
    # Another number, or after a HELLO the same one, is another request.
    reads = len(registers.log)
    for number, hello in [(1, False), (2, False), (2, True), (255, False), (1, False)]:
        if hello:
            await host.ask(Op.HELLO, number=number, nonce=0)
        await host.ask(Op.READ, number=number, address=4)
        reads += 1
        assert len(registers.log) == reads
    # The same number alone does not make it the same.
    await host.ask(Op.READ, number=9, address=4)
    await host.ask(Op.WRITE, number=9, address=0x80, value=6)
    assert registers.values[0x80] == 6


@cocotb.test()
async def malformed(dut):
    host, memory, registers, control = await begin(dut)
    for op, message in MESSAGES.items():
        for size in {0, 1, 5, 68, 69, 180, 260, *(n + d for n in message.sizes for d in (-1, 1))}:
            if size not in message.sizes and 0 <= size <= 260:
                status, body = await host.raw(op, 5, bytes(size))
                assert status == Status.MALFORMED and body == b"", f"{op.name} with {size} bytes"
    for op in (0, 7, 0x7F):
        assert (await host.raw(op, 0, bytes(4)))[0] == Status.MALFORMED
    assert not (registers.log or control.log or memory.reads or memory.writes)
    await host.ask(Op.READ, number=5, address=0)


@cocotb.test()
async def hung(dut):
    """A bus that does not answer is given up, and what it answers later goes nowhere."""
    host, memory, registers, control = await begin(dut, stall=0)
    control.hung = True
    waited = 0

    async def watch():
        nonlocal waited
        while True:
            await FallingEdge(dut.clk)
            waited += int(dut.control__cyc.value)

    watching = cocotb.start_soon(watch())
    await host.ask(Op.WRITE, Status.BUS, address=BOARD_SPACE, value=1)
    watching.cancel()
    assert PATIENCE - 4 <= waited <= PATIENCE, waited
    assert not int(dut.control__cyc.value)
    await host.ask(Op.READ, Status.BUS, address=BOARD_SPACE)
    await host.ask(Op.READ, address=4)
    control.hung = False
    await host.ask(Op.READ, address=BOARD_SPACE)

    registers.values |= {4: 44, 8: 88}
    registers.hung = True
    await host.ask(Op.READ, Status.BUS, address=4)
    await host.ask(Op.WRITE, Status.BUS, address=8, value=9)
    await host.ask(Op.CHECK, unit=0, units=1)
    registers.hung = False
    await cycles(dut, 20)
    assert await host.ask(Op.READ, address=8) == {"value": 88}

    want = bytearray(memory.data)
    for op, fields in [
        (Op.CHECK, {"unit": 0, "units": 100}),
        (Op.STORE, {"unit": 0, "data": b"x" * 256}),
    ]:
        memory.hung = True
        await host.ask(op, Status.BUS, **fields)
        await host.ask(Op.STORE, Status.BUS, unit=9, data=bytes(64))
        await host.ask(Op.READ, address=4)
        memory.hung = False
        await cycles(dut, 2000)
        want[: CONFIGS[case()].beat_bytes] = memory.data[: CONFIGS[case()].beat_bytes]
        assert memory.data == want
        assert await host.ask(Op.CHECK, unit=0, units=20) == {"crc": zlib.crc32(want[:1280])}
        want[192:256] = bytes(range(64))
        await host.ask(Op.STORE, unit=3, data=bytes(range(64)))
        assert memory.data == want


@cocotb.test()
async def waiting(dut):
    """Requests that come while one is executed are executed after it, in order; a fifth is lost."""
    host, memory, registers, control = await begin(dut, stall=0)
    memory.stall = 0.9
    area = {"unit": 0, "units": min(UNITS, 25 * CONFIGS[case()].beat_bytes)}
    await host.send(bytes([Op.CHECK, 1]) + pack(MESSAGES[Op.CHECK].request, area))
    for n in range(2, 7):
        await host.send(
            bytes([Op.WRITE, n]) + pack(MESSAGES[Op.WRITE].request, {"address": 0x80, "value": n})
        )
    assert not registers.log
    for n in range(1, 5):
        assert (await host.receive())[1:3] == bytes([n, 0])
    await host.sink.expect_none(300)
    assert registers.log == [(0x80, n) for n in range(2, 5)]


@cocotb.test()
async def reset_at_any_time(dut):
    """Wherever a reset comes, what follows it works. The buses are reset as well."""
    host, *buses = await begin(dut, stall=0)
    random = rng("reset")
    for trial in range(12):
        host, *buses = await begin_again(dut, host, buses)
        request = random.choice(
            [
                bytes([Op.STORE, 9]) + bytes(4) + bytes(256),
                bytes([Op.CHECK, 9])
                + pack(MESSAGES[Op.CHECK].request, {"unit": 0, "units": UNITS}),
                bytes([Op.READ, 9]) + bytes(4),
            ]
        )
        sender = cocotb.start_soon(host.send(request))
        await cycles(dut, random.randrange(1, 600))
        sender.cancel()
    host, memory, *_ = await begin_again(dut, host, buses)
    await host.ask(Op.STORE, unit=0, data=bytes(256))
    assert await host.ask(Op.CHECK, unit=0, units=4) == {"crc": zlib.crc32(bytes(256))}


async def begin_again(dut, host, buses):
    """Reset everything, the other ends of the buses included."""
    for task in host.tasks:
        task.cancel()
    dut.i__valid.value = 0
    dut.o__ready.value = 0
    dut.rst.value = 1
    for bus in buses:
        for name in ("bvalid", "rvalid", "ack", "err"):
            if hasattr(dut, bus.prefix + name):
                bus.port(name).value = 0
    await cycles(dut, 3)
    dut.rst.value = 0
    await FallingEdge(dut.clk)
    assert not any(
        int(getattr(dut, name).value)
        for name in (
            "o__valid",
            "memory__awvalid",
            "memory__wvalid",
            "memory__arvalid",
            "registers__awvalid",
            "registers__arvalid",
            "control__cyc",
            "sealed",
        )
    )
    await RisingEdge(dut.clk)
    buses = connect(dut, rng("again"), size=64 * UNITS, beat_bytes=CONFIGS[case()].beat_bytes)
    host = Host(dut, gap=0, stall=0)
    host.tasks = [cocotb.start_soon(bus.run()) for bus in buses]
    assert (await host.raw(Op.READ, 9, bytes(4)))[0] == Status.STRANGER
    await host.ask(Op.HELLO, nonce=5)
    return host, *buses
