"""The block's own registers, and what is passed on, with hosts and machines that hesitate."""

from random import Random

import pytest
from amaranth.sim import Simulator

from boards.export.front import Front
from boards.export.registers import MACHINE


OKAY, SLVERR = 0, 2
LIMIT = 200  # cycles that an access may take


class Bench:
    """A host, and a machine with a memory for registers, each slower or faster by chance."""

    def __init__(self, ctx, dut, random, pauses):
        self.ctx, self.dut, self.random, self.pauses = ctx, dut, random, pauses

    async def wait(self):
        while self.pauses and self.random.random() < 0.6:
            await self.ctx.tick()

    async def until(self, *names, bus):
        """Wait until all of the handshakes' other sides are up, and take them down one by one."""
        ctx, left = self.ctx, set(names)
        for _ in range(LIMIT):
            done = {name for name in left if ctx.get(getattr(bus, name))}
            await ctx.tick()
            for name in done:
                ctx.set(getattr(bus, name.replace("ready", "valid")), 0)
            left -= done
            if not left:
                return
        pytest.fail(f"no {left}")

    async def write(self, address, value, strobe=0xF):
        ctx, host = self.ctx, self.dut.host
        for name, what in ("awaddr", address), ("wdata", value), ("wstrb", strobe):
            ctx.set(getattr(host, name), what)
        # In either order.
        first, second = self.random.sample(["awvalid", "wvalid"], 2)
        ctx.set(getattr(host, first), 1)
        await self.wait()
        ctx.set(getattr(host, second), 1)
        await self.until("awready", "wready", bus=host)
        return await self.answer("b", lambda: ctx.get(host.bresp))

    async def read(self, address):
        ctx, host = self.ctx, self.dut.host
        ctx.set(host.araddr, address)
        ctx.set(host.arvalid, 1)
        await self.until("arready", bus=host)
        return await self.answer("r", lambda: (ctx.get(host.rresp), ctx.get(host.rdata)))

    async def answer(self, channel, look):
        ctx, host = self.ctx, self.dut.host
        for _ in range(LIMIT):
            if ctx.get(getattr(host, f"{channel}valid")):
                before = look()
                await self.wait()
                assert ctx.get(getattr(host, f"{channel}valid")) and look() == before, (
                    "what is offered must stay"
                )
                ctx.set(getattr(host, f"{channel}ready"), 1)
                await ctx.tick()
                ctx.set(getattr(host, f"{channel}ready"), 0)
                return before
            await ctx.tick()
        pytest.fail("no answer")


async def machine(ctx, dut, random, pauses, words, log):
    """Takes addresses and data in any order, and answers later."""
    bus = dut.machine

    async def wait():
        while pauses and random.random() < 0.6:
            await ctx.tick()

    async def take(names):
        for name in random.sample(names, len(names)):
            await wait()
            ctx.set(getattr(bus, f"{name}ready"), 1)
            await ctx.tick().until(getattr(bus, f"{name}valid"))
            ctx.set(getattr(bus, f"{name}ready"), 0)

    while True:
        while not ctx.get(bus.awvalid | bus.arvalid):
            await ctx.tick()
        if ctx.get(bus.arvalid):
            address = ctx.get(bus.araddr)
            await take(["ar"])
            await wait()
            ctx.set(bus.rdata, words.get(address, 0))
            ctx.set(bus.rresp, OKAY if address in words else SLVERR)
            ctx.set(bus.rvalid, 1)
            await ctx.tick().until(bus.rready)
            ctx.set(bus.rvalid, 0)
        else:
            address, data, strobe = (
                ctx.get(getattr(bus, name)) for name in ("awaddr", "wdata", "wstrb")
            )
            await take(["aw", "w"])
            await wait()
            log.append((address, data, strobe))
            if address in words:
                words[address] = data
            ctx.set(bus.bresp, OKAY if address in words else SLVERR)
            ctx.set(bus.bvalid, 1)
            await ctx.tick().until(bus.bready)
            ctx.set(bus.bvalid, 0)


@pytest.mark.parametrize("pauses", [False, True])
def test_accesses(pauses):
    dut, random, words, log = Front(), Random(1), {0: 0x44414548, 0x10: 5, 0xFFC: 7}, []

    async def host(ctx):
        bench, expected = Bench(ctx, dut, random, pauses), 0
        for _ in range(60):
            kind = random.randrange(5)
            value, strobe = random.getrandbits(32), random.choice([0xF, 0xF, random.randrange(16)])
            if kind == 0:
                at = random.randrange(2)
                assert await bench.write(0x10 + 4 * at, value, strobe) == OKAY
                for n in range(4):
                    if strobe >> n & 1:
                        shift = 32 * at + 8 * n
                        expected = expected & ~(0xFF << shift) | (value >> 8 * n & 0xFF) << shift
                assert ctx.get(dut.base) == expected
            elif kind == 1:
                at = random.randrange(2)
                assert await bench.read(0x10 + 4 * at) == (OKAY, expected >> 32 * at & 0xFFFFFFFF)
            elif kind == 2:
                at = random.choice([0, 0x10, 0xFFC, 0x20])
                assert await bench.write(MACHINE + at, value, strobe) == (
                    OKAY if at in words else SLVERR
                )
                assert log.pop() == (at, value, strobe) and not log
            elif kind == 3:
                at = random.choice([0, 0x10, 0xFFC, 0x20])
                assert await bench.read(MACHINE + at) == (
                    (OKAY, words[at]) if at in words else (SLVERR, 0)
                )
            else:
                at = random.choice([0, 0xC, 0x18, 0x110, 0xFFC])
                assert (
                    await bench.read(at) == (SLVERR, 0) and await bench.write(at, value) == SLVERR
                )
            assert ctx.get(dut.base) == expected and not log

    async def behind(ctx):
        await machine(ctx, dut, Random(2), pauses, words, log)

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(host)
    simulator.add_testbench(behind, background=True)
    simulator.run()
