"""Control: starts, resets that wait for memory, priority of faults, and counters."""

from dataclasses import replace
from itertools import product

import cocotb
from cocotb.triggers import FallingEdge
from cocotbext.axi import AxiLiteBus, AxiLiteMaster, AxiResp

from rtl.control.control import UNITS_BITS, Control, FaultReport
from rtl.spec.config import get
from rtl.spec.csr import BEST, COUNTERS, EVENT_COUNTERS, REGISTERS, TOKENS, FaultCode
from rtl.spec.isa import Source
from rtl.spec.limits import PC_BITS, ROW_BITS
from rtl.spec.payloads import Logit
from sim.harness.bench import case, cycles, get_port, rng, start, to_bits


FAULTS = 3
CASES = {
    "small": lambda: Control(get("small"), FAULTS),
    "counters": lambda: Control(replace(get("small"), counters=True), FAULTS),
}
START, RESET = 1, 2
BUSY, DONE, FAULT = 1, 2, 4
SETTLE = 4  # cycles after `stop` in which memory may be idle with a request on its way to it


class Host:
    """The host's side, and the units': a program runs until told to end."""

    @classmethod
    async def begin(cls, dut):
        await start(dut)
        self = cls()
        self.dut = dut
        self.registers = AxiLiteMaster(AxiLiteBus.from_prefix(dut, "axi_"), dut.clk, dut.rst)
        dut.memory_idle.value = 1
        dut.run_busy.value = 1
        return self

    async def set(self, name, value):
        await self.registers.write_dword(REGISTERS[name].address, value)

    async def get(self, name, n=0):
        return await self.registers.read_dword(REGISTERS[name].address + 4 * n)

    async def until(self, signal, value=1, limit=200):
        """Wait until a signal has a value; returns just after that cycle's falling edge."""
        for n in range(limit):
            await FallingEdge(self.dut.clk)
            if int(signal.value) == value:
                return n
        raise AssertionError(f"{signal._name} is not {value} after {limit} cycles")

    async def report(self, reports):
        """Show the faults of a mapping from places to reports, for one cycle."""
        for n, report in reports.items():
            get_port(self.dut, f"faults.{n}").value = to_bits(FaultReport, report)
        await cycles(self.dut)
        for n in reports:
            get_port(self.dut, f"faults.{n}").value = 0

    async def fault(self):
        return {name: await self.get(f"FAULT_{name.upper()}") for name in ("code", "pc", "info")}


@cocotb.test()
async def runs(dut):
    """Fetch, then run, then done; the units' parts of the registers on the way."""
    host, random = await Host.begin(dut), rng()
    values = {
        name: random.getrandbits(32)
        for name in ("PROGRAM", "MEMORY", "WRITE_FIRST", "WRITE_END", *(s.name for s in Source))
    }
    other = random.getrandbits(32)
    # Each bit is set and is not, in one run or another.
    for flip in (0, 0xFFFFFFFF, 0):
        for length in (other ^ flip, get("small").program_words):
            await host.set("LENGTH", length)
            assert int(dut.length.value) == length
        for name, value in values.items():
            await host.set(name, value ^ flip)
        for port, name in (
            ("program", "PROGRAM"),
            ("memory_limit", "MEMORY"),
            ("write_first", "WRITE_FIRST"),
            ("write_end", "WRITE_END"),
            *((f"sources.{n}", s.name) for n, s in enumerate(Source)),
        ):
            assert int(get_port(dut, port).value) == values[name] ^ flip, name
        dut.fetch_busy.value = dut.run_busy.value = 1
        cocotb.start_soon(host.set("CONTROL", START))
        await host.until(dut.fetch_start)
        assert int(dut.clear.value)
        for _ in range(20):
            await FallingEdge(dut.clk)
            assert not int(dut.run_start.value) and not int(dut.fetch_start.value)
        assert await host.get("STATUS") == BUSY
        dut.fetch_busy.value = 0
        await host.until(dut.run_start)
        await cycles(dut, 20)
        assert await host.get("STATUS") == BUSY
        dut.run_busy.value = 0
        await cycles(dut, 2)
        assert await host.get("STATUS") == DONE


@cocotb.test()
async def tokens_and_best_logits(dut):
    """Words of tables: the tokens that the host writes, and the best logits that it reads."""
    host, random = await Host.begin(dut), rng()
    tokens = [random.getrandbits(32) for _ in range(TOKENS)]
    best = [
        {"id": random.getrandbits(ROW_BITS), "value": random.getrandbits(32)} for _ in range(BEST)
    ]

    async def answer():
        while True:
            await FallingEdge(dut.clk)
            entry = best[int(dut.best_index.value)]
            await cycles(dut)
            dut.best_entry.value = to_bits(Logit, entry)

    for n, token in enumerate(tokens):
        await host.registers.write_dword(REGISTERS["TOKEN"].address + 4 * n, token)
    for n, token in enumerate(tokens):
        dut.token_index.value = n
        await FallingEdge(dut.clk)
        assert int(dut.token.value) == token, n
    cocotb.start_soon(answer())
    for n, entry in enumerate(best):
        assert await host.get("BEST", 2 * n) == entry["value"], n
        assert await host.get("BEST", 2 * n + 1) == entry["id"], n


@cocotb.test()
@cocotb.parametrize(quiet=range(SETTLE + 1), command=[RESET, RESET | START])
async def reset_waits_for_memory(dut, quiet, command):
    """Memory seems idle for some cycles, then is not: a request was on its way."""
    host = await Host.begin(dut)
    await host.set("CONTROL", START)
    await cycles(dut, 20)
    cocotb.start_soon(host.set("CONTROL", command))
    await host.until(dut.stop)

    async def waits(count):
        for _ in range(count):
            assert int(dut.stop.value) and not int(dut.reset.value)
            await FallingEdge(dut.clk)

    await waits(quiet)
    dut.memory_idle.value = 0
    await waits(60)
    assert await host.get("STATUS") == BUSY
    await FallingEdge(dut.clk)
    dut.memory_idle.value = 1
    await host.until(dut.reset, 1, 2 * SETTLE)
    await FallingEdge(dut.clk)
    assert not int(dut.reset.value), "a reset takes one cycle"
    if command & START:
        await host.until(dut.run_start)
        await cycles(dut, 5)
    assert not int(dut.stop.value)
    assert await host.get("STATUS") == (BUSY if command & START else 0)


@cocotb.test()
async def addresses(dut):
    """Where no register is, any access is refused; bytes of those that there are can be written."""
    host = await Host.begin(dut)
    value = 0x0123_4567
    for refused in (0xFFC, 0x03C):
        assert (await host.registers.read(refused, 4)).resp == AxiResp.SLVERR
        assert (await host.registers.write(refused, bytes(4))).resp == AxiResp.SLVERR
        await host.set("PROGRAM", value)
        for byte in range(4):
            await host.registers.write_byte(REGISTERS["PROGRAM"].address + byte, 0xFF)
            value |= 0xFF << 8 * byte
            assert await host.get("PROGRAM") == value
        value = 0x89AB_CDEF


@cocotb.test()
async def first_fault_counts(dut):
    """Of simultaneous faults the first place's; of later ones none. Then only a reset helps."""
    host, random = await Host.begin(dut), rng()
    for places in product([False, True], repeat=FAULTS):
        reports = {
            n: {
                "code": random.randrange(1, 256),
                "pc": random.getrandbits(PC_BITS),
                "info": random.getrandbits(32),
            }
            for n in range(FAULTS)
            if places[n]
        }
        if all(places):  # every bit of each place is passed on, or kept from that
            reports = {
                n: {"code": 255, "pc": (1 << PC_BITS) - 1, "info": 0xFFFF_FFFF}
                for n in range(FAULTS)
            }
        await host.set("CONTROL", START)
        await cycles(dut, 20)
        await host.report(reports)
        await FallingEdge(dut.clk)
        assert int(dut.stop.value) == bool(reports)
        for later in range(FAULTS) if reports else ():
            await cycles(dut, random.randrange(3))
            await host.report({later: {"code": 77, "pc": 7, "info": 777}})
        want = reports[min(reports)] if reports else {"code": 0, "pc": 0, "info": 0}
        assert await host.fault() == want
        assert await host.get("STATUS") == (FAULT if reports else BUSY)
        if reports:
            await host.set("CONTROL", START)
            await cycles(dut, 20)
            assert await host.get("STATUS") == FAULT and int(dut.stop.value)
        await host.set("CONTROL", RESET)
        await cycles(dut, 20)
        assert await host.get("STATUS") == 0 and not any((await host.fault()).values())


@cocotb.test()
async def fault_after_fault(dut):
    """For each pair, and the same place twice: the first counts, if the other comes a cycle
    later.
    """
    host = await Host.begin(dut)
    for first, second in product(range(FAULTS), repeat=2):
        await host.set("CONTROL", START)
        await cycles(dut, 20)
        reports = [
            {"code": 1 + place, "pc": 10 + place, "info": 100 + n}
            for n, place in enumerate((first, second))
        ]
        await host.report({first: reports[0]})
        await host.report({second: reports[1]})
        assert await host.fault() == reports[0], f"{first}, then {second}"
        await host.set("CONTROL", RESET)
        await cycles(dut, 20)


@cocotb.test()
@cocotb.parametrize(early=[-1, 0, 1], flip=[False, True])
async def watchdog(dut, early, flip):
    """So many cycles after the last progress, unless a fault comes before or at the same time."""
    host, wait, units, pc = await Host.begin(dut), 40, 0b10110, 0x123
    if flip:  # the other bits
        units, pc = units ^ (1 << UNITS_BITS) - 1, pc ^ (1 << PC_BITS) - 1
    assert units >> UNITS_BITS == 0
    dut.units.value, dut.pc.value = units, pc
    await host.set("WATCHDOG", wait)
    cocotb.start_soon(host.set("CONTROL", START))
    await host.until(dut.run_start)
    await cycles(dut, wait - 10)
    dut.progress.value = 1
    await cycles(dut)
    dut.progress.value = 0
    await cycles(dut, wait - early)
    assert not int(dut.stop.value)
    other = {"code": FaultCode.BUS, "pc": 1, "info": 2}
    await host.report({1: other})
    await cycles(dut, 2)
    assert int(dut.stop.value) and await host.get("STATUS") == FAULT
    assert await host.fault() == (
        other if early >= 0 else {"code": FaultCode.WATCHDOG, "pc": pc, "info": units}
    )


@cocotb.test()
async def program_too_long(dut):
    host, length = await Host.begin(dut), get("small").program_words + 1
    await host.set("LENGTH", length)
    cocotb.start_soon(host.set("CONTROL", START))
    for _ in range(30):
        await FallingEdge(dut.clk)
        assert not int(dut.fetch_start.value)
    assert await host.get("STATUS") == FAULT
    assert await host.fault() == {"code": FaultCode.PROGRAM, "pc": 0, "info": length}


@cocotb.test()
async def counts(dut):
    """Events and cycles from a start to the end; none before and after, and again from zero.

    A build whose counters begin at other numbers says which by options such as `+CYCLES=`.
    """
    host, random = await Host.begin(dut), rng()
    wires = {name: getattr(dut, event) for name, event in EVENT_COUNTERS.items()}
    counted = len(COUNTERS) if case() == "counters" else 0
    for _ in range(2):
        want = {name: int(cocotb.plusargs.get(name, 0)) for name in (*EVENT_COUNTERS, "CYCLES")}
        counters, running = [0] * REGISTERS["COUNTER"].count, False

        async def events():
            nonlocal running
            while True:
                for wire in wires.values():
                    wire.value = random.getrandbits(1)
                dut.events.value = random.getrandbits(len(COUNTERS))
                await FallingEdge(dut.clk)
                if running:
                    for n in range(counted):
                        counters[n] += int(dut.events.value) >> n & 1
                    for name, wire in wires.items():
                        want[name] += int(wire.value)
                    want["CYCLES"] += 1
                # From the cycle after the fetcher's start to that in which the sequencer is done.
                running = (running or int(dut.fetch_start.value)) and (
                    int(dut.fetch_busy.value) or int(dut.run_busy.value)
                )
                await cycles(dut)

        task = cocotb.start_soon(events())
        dut.run_busy.value = dut.fetch_busy.value = 1
        await host.set("CONTROL", START)
        await cycles(dut, 50)
        dut.fetch_busy.value = 0
        await cycles(dut, 300)
        dut.run_busy.value = 0
        await cycles(dut, 50)
        assert await host.get("STATUS") == DONE
        assert await host.get("CYCLES", 1) == want["CYCLES"] >> 32
        want = {name: count % (1 << 32) for name, count in want.items()}
        assert {name: await host.get(name) for name in want} == want
        assert await host.get("COUNTERS") == counted
        assert [await host.get("COUNTER", n) for n in range(len(counters))] == counters
        task.cancel()
