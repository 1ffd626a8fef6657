"""Attention unit: Append and Attend against a KV cache."""

from dataclasses import replace

import cocotb
import numpy as np
from cocotb.triggers import FallingEdge, RisingEdge

from rtl.attention.accumulate import words_at_once
from rtl.attention.unit import AttentionUnit
from rtl.spec.config import KV_BLOCK, Config, get
from rtl.spec.isa import Append, Attend
from rtl.spec.limits import CACHE
from rtl.spec.payloads import Dispatched, Quantized, vector_write
from sim.benches.attention._kv import KvMemory, runs
from sim.harness.bench import Sink, Source, case, rng, start
from sim.oracles.attention import ATTEND


def long(name, **sizes):
    """A configuration for the longest heads."""
    return Config(name=name, columns=1, head_dim=256, **sizes)


CASES = {
    "small": lambda: AttentionUnit(get("small")),
    "wide": lambda: AttentionUnit(get("wide")),
    "tiny": lambda: AttentionUnit(
        Config(
            name="tiny",
            beat_bits=256,
            columns=1,
            lanes=2,
            queries=1,
            head_dim=128,
            vector_words=4096,
            score_cap=30,
        )
    ),
    # Less than a line of the vector memory a beat, and of sixteen beats a position.
    "eight": lambda: AttentionUnit(
        Config(name="eight", beat_bits=64, columns=1, lanes=16, queries=3, head_dim=128)
    ),
    "two": lambda: AttentionUnit(
        Config(name="two", beat_bits=16, columns=1, lanes=2, queries=2, score_cap=50)
    ),
    # Sixteen beats, and four, a position.
    "long": lambda: AttentionUnit(long("long", beat_bits=128, lanes=4, queries=2)),
    "broad": lambda: AttentionUnit(long("broad", beat_bits=512, lanes=16, queries=1)),
}
PATIENCE = 200_000  # cycles
LENGTHS = [1, 2, 31, 32, 33, 64, 65, 100]
WINDOWS = [1, 31, 32, 33, 100]
MORE = [-1, 0, 1, 31, 32, 63]  # positions than a window


class Cache:
    """Queries, keys and values of some heads, with the exponents that `style` names.

    With a `window`, the last positions of them count.
    """

    def __init__(self, config, numbers, heads, queries, length, style, window=0):
        self.heads, self.queries, self.length, self.window = heads, queries, length, window
        self.start = length - min(length, window or length)
        self.score_cap = config.score_cap
        d = config.head_dim

        def group(bits, *shape):
            limit = (1 << bits - 1) - 1
            spread = numbers.choice([1, limit // 8, limit], (*shape, 1))
            return numbers.integers(-spread, spread + 1, (*shape, d))

        def exponents(centre, width, *shape):
            match style:
                case "real":  # as of a language model
                    e = centre + numbers.integers(-width, width + 1, shape)
                case "wild":  # anything, so that most scores are saturated
                    e = numbers.integers(0, 256, shape)
                case "leap":  # maxima grow from block to block, by all sorts of steps
                    leaps = numbers.integers(0, 3 * width // 2 + 1, (*shape[:-1], 64)).cumsum(-1)
                    e = centre - width + leaps[..., np.arange(shape[-1]) // 32]
                case "zero":
                    e = np.zeros(shape)
            return np.clip(e, 0, 255).astype(np.uint8)

        self.q = group(16, heads, queries).astype(np.int16)
        self.k = group(8, heads, length).astype(np.int8)
        self.v = group(8, heads, length).astype(np.int8)
        self.q_exponent = exponents(127, 3, heads, queries)
        self.k_exponent = exponents(128, 3, heads, length)
        self.v_exponent = exponents(125, 20, heads, length)

    def expected(self, cap=0):
        """Lines that Attend writes: numerators by head and query, and denominators."""
        its = slice(self.start, None)
        numerators, denominators = zip(
            *(
                ATTEND.expect(
                    self.q[h],
                    self.q_exponent[h],
                    self.k[h, its],
                    self.k_exponent[h, its],
                    self.v[h, its],
                    self.v_exponent[h, its],
                    self.start,
                    self.score_cap * cap,
                )
                for h in range(self.heads)
            )
        )
        return np.concatenate(numerators).view(np.uint32), np.concatenate(denominators).view(
            np.uint32
        )


class Bench:
    def __init__(self, dut, config, *, latency=0, stall=0.0):
        self.dut, self.config, self.random = dut, config, rng(f"{latency} {stall}")
        self.numbers = np.random.default_rng(self.random.getrandbits(32))
        self.memory = KvMemory(dut, config, self.random, latency=latency, stall=stall)
        self.insn = Source(dut, "insn", Dispatched, gap=stall)
        self.kv = Source(dut, "kv", Quantized(config), gap=stall)
        self.query = Source(dut, "query", Quantized(config), gap=stall)
        self.write = Sink(dut, "write", vector_write(config), stall=stall, limit=PATIENCE)

    def start(self):
        self.tasks = [cocotb.start_soon(task) for task in (self.memory.read(), self.memory.write())]

    def stop(self):
        for task in self.tasks:
            task.cancel()

    async def send(self, insn):
        await self.insn.send({"word": insn.encode(), "pc": self.random.getrandbits(12)})

    async def send_groups(self, source, values, exponents):
        for group, exponent in zip(values.reshape(-1, self.config.head_dim), exponents.reshape(-1)):
            await source.send_all(runs(self.config, group, exponent))

    async def idle(self):
        """Wait until the unit is; returns the cycles that took."""
        for n in range(PATIENCE):
            await FallingEdge(self.dut.clk)
            if not int(self.dut.busy.value):
                await RisingEdge(self.dut.clk)
                return n
        raise AssertionError("busy for ever")

    def place(self, cache, turn=0):
        """Fields of an Attend, at random. With a window, `turn` is the newest block's place."""
        c, units = self.config, self.config.kv_block_units
        room = c.vector_words - cache.heads * cache.queries * (c.head_dim + c.lanes)
        dst = self.random.randrange(room // c.lanes) * c.lanes
        least = (cache.length + 31) // 32 * c.kv_block_units
        stride = self.random.choice(
            [least, least + 1, least + 2, CACHE, self.random.randrange(least, 1 << 24)]
        )
        if cache.window:
            least = (min(cache.window + 31, cache.length) + 31) // 32
            stride = (least + self.random.choice([0, 0, 0, 1, 3])) * units
        addr = self.random.randrange((1 << 32) - cache.heads * stride)
        return Attend(
            window=cache.window,
            newest=addr + turn * units % stride if cache.window else self.random.getrandbits(32),
            cap=self.random.getrandbits(1) if c.score_cap else 0,
            heads=cache.heads,
            queries=cache.queries,
            addr=addr,
            stride=stride,
            length=cache.length,
            dst=dst,
            sums=dst + cache.heads * cache.queries * c.head_dim,
        )

    def block(self, insn, head, position):
        """The block of a position: with a window, counted from the newest around the ring."""
        units, base = self.config.kv_block_units, insn.addr + head * insn.stride
        if not insn.window:
            return base + position // 32 * units
        back = (insn.length - 1) // 32 - position // 32
        return base + (insn.newest - insn.addr - back * units) % insn.stride

    def store(self, cache, insn, positions):
        for h in range(cache.heads):
            for p in positions:
                block = self.block(insn, h, p)
                self.memory.store(block, p, 0, cache.k[h, p], cache.k_exponent[h, p])
                self.memory.store(block, p, 1, cache.v[h, p], cache.v_exponent[h, p])

    async def attend(self, cache, insn):
        """Execute the instruction and check all that it writes; returns the cycles it was busy."""
        c = self.config
        sending = cocotb.start_soon(self.send_groups(self.query, cache.q, cache.q_exponent))
        await self.send(insn)
        waiting = cocotb.start_soon(self.idle())
        numerators, denominators = cache.expected(insn.cap)
        got, lines = {}, len(denominators) * (c.head_dim // c.lanes + 1)
        for _ in range(lines * c.lanes):
            if len(got) == lines * c.lanes:
                break
            write = await self.write.receive()
            for n, word in enumerate(write["data"]):
                if write["mask"] >> n & 1:
                    assert (write["line"], n) not in got
                    got[write["line"], n] = word
        cycles = await waiting
        await sending
        for q, denominator in enumerate(denominators):
            line = insn.sums // c.lanes + q
            for n in range(c.lanes):
                assert got[line, n] == denominator, f"denominator {q}: {got[line, n]:x}"
            first = insn.dst + q * c.head_dim
            words = [got[divmod(first + n, c.lanes)] for n in range(c.head_dim)]
            assert words == numerators[q].tolist(), f"numerators {q}"
        return cycles


@cocotb.test()
async def attends(dut):
    config = CASES[case()]().config
    await start(dut)
    for latency, stall in [(0, 0), (50, 0.1), (7, 0.4)]:
        bench = Bench(dut, config, latency=latency, stall=stall)
        bench.start()
        for n, length in enumerate(LENGTHS):
            style = ["real", "wild", "leap", "real", "zero"][(n + latency) % 5]
            queries = config.queries - (n + latency) % config.queries
            heads = 5 if length < 3 else 3 if length < 40 else 2
            cache = Cache(config, bench.numbers, heads, queries, length, style)
            insn = bench.place(cache)
            bench.store(cache, insn, range(length))
            dut._log.info("latency %d, stall %.1f: %s, %s", latency, stall, style, insn)
            await bench.attend(cache, insn)
        bench.stop()


@cocotb.test()
async def attends_to_windows(dut):
    """Windows and lengths around blocks' ends; rings that turn at each of their blocks. What lies
    before a window is noise.
    """
    config = CASES[case()]().config
    await start(dut)
    about = [(window, window + more) for window in WINDOWS for more in MORE if window + more]
    turns = [(WINDOWS[-1], 2 * WINDOWS[-1])] * 8  # more than the ring has blocks
    for latency, stall, cases in [(20, 0.3, about), (0, 0, turns)]:
        bench = Bench(dut, config, latency=latency, stall=stall)
        bench.start()
        for n, (window, length) in enumerate(cases):
            style = ["real", "leap", "real", "wild"][n % 4]
            heads = 3 if window < 3 else 2
            cache = Cache(config, bench.numbers, heads, config.queries, length, style, window)
            insn = bench.place(cache, n)
            bench.store(cache, insn, range(cache.start, length))
            dut._log.info("latency %d, stall %.1f: %s, %s", latency, stall, style, insn)
            await bench.attend(cache, insn)
        bench.stop()


@cocotb.test()
async def attends_to_all_after_a_window(dut):
    """A cache without a window does not turn where the next head's ring would."""
    config = CASES[case()]().config
    await start(dut)
    bench = Bench(dut, config)
    bench.start()
    for window, length in [(1, 40), (33, 33), (100, 300)]:
        cache = Cache(config, bench.numbers, 2, config.queries, length, "real", window)
        ring = bench.place(cache)
        bench.store(cache, ring, range(cache.start, length))
        await bench.attend(cache, ring)
        cache = Cache(config, bench.numbers, 1, config.queries, 100, "real")
        insn = replace(
            bench.place(cache),
            # The second block is the last of that ring.
            addr=ring.addr + (ring.heads + 1) * ring.stride - 2 * config.kv_block_units,
        )
        bench.store(cache, insn, range(100))
        await bench.attend(cache, insn)
    bench.stop()


@cocotb.test()
async def long_context(dut):
    """So many equal scores that a denominator has more than 24 bits, one case with far more
    positions than 12 bits count, and values that make the largest sums."""
    config = CASES[case()]().config
    await start(dut)
    bench = Bench(dut, config)
    bench.start()
    length = 5000 if case() == "wide" else 1060
    cache = Cache(config, bench.numbers, 1, config.queries, length, "zero")
    cache.q[:] = 0
    cache.v[:] = np.where(np.arange(config.head_dim) % 2, 127, -128)
    insn = bench.place(cache)
    bench.store(cache, insn, range(cache.length))
    assert (cache.expected()[1].view(np.float32) >= 1 << 25).all()
    await bench.attend(cache, insn)
    bench.stop()


@cocotb.test()
async def appends_then_attends(dut):
    config = CASES[case()]().config
    await start(dut)
    for latency, stall in [(20, 0), (5, 0.3)]:
        bench = Bench(dut, config, latency=latency, stall=stall)
        bench.start()
        for length in [1, 32, 33, 40]:
            cache = Cache(config, bench.numbers, 3, config.queries, length, "real")
            insn = bench.place(cache)
            last = length - 1
            bench.store(cache, insn, range(last))
            for value, elements, exponents in [
                (0, cache.k, cache.k_exponent),
                (1, cache.v, cache.v_exponent),
            ]:
                sending = cocotb.start_soon(
                    bench.send_groups(bench.kv, elements[:, last], exponents[:, last])
                )
                await bench.send(
                    Append(
                        value=value,
                        heads=cache.heads,
                        stride=insn.stride,
                        position=last,
                        addr=bench.block(insn, 0, last),
                    )
                )
                await sending
            await bench.attend(cache, insn)
        bench.stop()


@cocotb.test()
async def keeps_up_with_memory(dut):
    config = CASES[case()]().config
    await start(dut)
    bench = Bench(dut, config, latency=80)
    bench.start()
    cache = Cache(config, bench.numbers, 3, config.queries, 128, "real")
    insn = bench.place(cache)
    bench.store(cache, insn, range(cache.length))
    cycles, beats = await bench.attend(cache, insn), bench.memory.beats
    dut._log.info("%d beats took %d cycles", beats, cycles)
    # All but the first chunk of the last values come once all beats have.
    chunks = config.head_dim // config.beat_bytes
    handed_on = config.queries * (config.beat_bytes // words_at_once(config) + 1)
    loading = config.queries * config.head_dim // config.lanes
    bound = 160 + beats + loading + KV_BLOCK * (chunks - 1) + 2 * handed_on
    assert cycles < bound, f"{beats} beats must take less than {bound} cycles, not {cycles}"
    bench.stop()
