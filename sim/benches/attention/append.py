"""Appending to the KV cache."""

import cocotb
import numpy as np
from cocotb.triggers import FallingEdge, RisingEdge

from rtl.attention.append import AppendCommand, KvAppend
from rtl.spec.config import Config, get
from rtl.spec.limits import CACHE, UNITS
from rtl.spec.payloads import Quantized
from sim.benches.attention._kv import KvMemory, runs
from sim.harness.bench import Source, case, rng, start


CASES = {
    "small": lambda: KvAppend(get("small")),
    "eight": lambda: KvAppend(Config(name="eight", beat_bits=64, columns=1, lanes=8, head_dim=128)),
    "two": lambda: KvAppend(Config(name="two", beat_bits=16, columns=1, lanes=2)),
    "large": lambda: KvAppend(
        Config(name="large", beat_bits=512, columns=1, lanes=16, head_dim=256)
    ),
}


@cocotb.test()
async def writes_the_lines(dut):
    config, random = CASES[case()]().config, rng()
    numbers = np.random.default_rng(random.getrandbits(32))
    await start(dut)
    for latency, stall in [(0, 0), (30, 0), (3, 0.5)]:
        memory = KvMemory(dut, config, random, latency=latency, stall=stall)
        task = cocotb.start_soon(memory.write())
        command = Source(dut, "command", AppendCommand, gap=stall)
        source = Source(dut, "i", Quantized(config), gap=stall)
        for position in [0, 31, 1, 17, *(random.randrange(32) for _ in range(10))]:
            value, heads = random.randrange(2), random.randrange(1, 6)
            # Also past the last address, where sums do not wrap.
            addr = random.choice([random.randrange(UNITS), UNITS])
            stride = random.choice([random.randrange(config.kv_block_units, CACHE), CACHE])
            blocks = range(addr, addr + heads * stride, stride)
            before = {
                a + n: bytes(memory.unit(a + n))
                for a in blocks
                for n in range(config.kv_block_units)
            }
            elements = numbers.integers(-127, 128, (heads, config.head_dim))
            exponents = numbers.integers(0, 256, heads)

            await command.send(
                {
                    "value": value,
                    "heads": heads,
                    "addr": addr,
                    "stride": stride,
                    "position": position,
                }
            )
            for group, exponent in zip(elements, exponents):
                await source.send_all(runs(config, group, exponent))
            for _ in range(1000):
                await FallingEdge(dut.clk)
                if not int(dut.busy.value):
                    break
            else:
                raise AssertionError("busy for ever")
            # What is written when busy falls is in memory already.
            after = {a: bytes(memory.unit(a)) for a in before}
            for a, n in before.items():
                memory.units[a] = bytearray(n)
            for h, a in enumerate(blocks):
                memory.store(a, position, value, elements[h], exponents[h])
            want = {a: bytes(memory.unit(a)) for a in before}
            wrong = [hex(a) for a in want if want[a] != after[a]]
            assert not wrong and len(memory.units) == len(before), (
                f"value {value}, position {position}: units {wrong} differ"
            )
            memory.units.clear()
            await RisingEdge(dut.clk)
        task.cancel()
