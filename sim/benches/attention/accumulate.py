"""Accumulators of attention: sums of random blocks, and the largest sums that there can be."""

import cocotb
import numpy as np
from cocotb.triggers import FallingEdge, Timer

from rtl.attention.accumulate import Accumulators
from rtl.attention.products import PRODUCT_BITS, ProductArray
from rtl.attention.softmax import MAX_RESCALE, Rescale
from rtl.attention.tag import Tag
from rtl.spec.config import KV_BLOCK, Config
from rtl.spec.limits import POSITIONS, WEIGHT_BITS
from sim.harness.bench import Source, case, cycles, get_port, rng, start, to_bits
from sim.oracles.attention import ACCUMULATE


CONFIGS = {
    "chunks": Config(name="chunks", beat_bits=128, columns=1, lanes=4, queries=2),  # in memories
    "single": Config(name="single", beat_bits=512, columns=1, lanes=4, queries=1),  # in registers
}
CASES = {name: lambda config=config: Accumulators(config) for name, config in CONFIGS.items()}
PERIOD = 10  # of the clock, ns


class Bench:
    """Drives rescaling and beats, as softmax and intake do, and reads the sums."""

    def __init__(self, dut):
        self.dut, self.config = dut, CONFIGS[case()]
        self.random = np.random.default_rng(rng().getrandbits(32))
        self.chunks = self.config.head_dim // self.config.beat_bytes
        self.rescale = Source(dut, "rescale", Rescale(self.config), gap=0)
        self.products = [
            [get_port(dut, f"products.{q}.{n}") for n in range(self.config.beat_bytes)]
            for q in range(self.config.queries)
        ]

    async def until(self, signal):
        for _ in range(200):
            await FallingEdge(self.dut.clk)
            if int(signal.value):
                return await cycles(self.dut)
        raise AssertionError(f"{signal._name} stays low")

    async def begin(self, first, last, numerator, denominator, exponent):
        """Rescale before a block, and wait until it may come."""
        await self.rescale.send(
            {
                "first": first,
                "last": last,
                "numerator": numerator,
                "denominator": denominator,
                "exponent": exponent,
            }
        )
        await self.until(self.dut.open)

    def tag(self, **values):
        fields = {key: 0 for key, _ in Tag(self.config)}
        self.dut.tag.value = to_bits(Tag(self.config), fields | values)

    def key(self):
        """A beat of keys, which has nothing to do with the sums."""
        self.tag(
            key=1,
            chunk=int(self.random.integers(self.chunks)),
            **{
                name: int(self.random.integers(2))
                for name in ("start", "end", "open", "close", "first", "last")
            },
        )

    def multiply(self, products):
        """Products (queries, beat_bytes) to the ports."""
        for ports, values in zip(self.products, products.tolist()):
            for port, value in zip(ports, values):
                port.value = value & (1 << PRODUCT_BITS) - 1

    def share(self, shares):
        for q, share in enumerate(shares):
            get_port(self.dut, f"shares.{q}").value = int(share)

    async def finish(self, exponent):
        """Wait for the result, and read it: numerators (queries, head_dim), denominators."""
        dut, numerators = self.dut, []
        self.tag()
        await self.until(get_port(dut, "result.valid"))
        assert int(get_port(dut, "result.payload").value) == sum(
            e << 8 * q for q, e in enumerate(exponent)
        )
        for chunk in range(self.chunks):
            dut.chunk.value = chunk
            await cycles(dut)
            await FallingEdge(dut.clk)
            numerators.append(
                [
                    [
                        get_port(dut, f"numerators.{q}.{n}").value.to_signed()
                        for n in range(self.config.beat_bytes)
                    ]
                    for q in range(self.config.queries)
                ]
            )
        denominators = [
            int(get_port(dut, f"denominators.{q}").value) for q in range(self.config.queries)
        ]
        get_port(dut, "result.ready").value = 1
        await cycles(dut)
        get_port(dut, "result.ready").value = 0
        return np.concatenate(numerators, 1), np.array(denominators)


@cocotb.test()
@cocotb.parametrize(gap=[0, 0.4])
async def adds_and_rescales(dut, gap):
    """Blocks of all sizes, with shifts by all amounts before them."""
    await start(dut)
    bench = Bench(dut)
    config, random, chunks = bench.config, bench.random, bench.chunks
    beats = ProductArray.LATENCY * [np.zeros((config.queries, config.beat_bytes), np.int64)]

    async def beat(products):
        # They leave the multipliers later than their tag comes.
        beats.append(products)
        bench.multiply(beats.pop(0))
        await cycles(dut)
        bench.tag()

    for blocks in (1, 2, 9, 1, 5):
        exponent = random.integers(0, 256, config.queries).tolist()
        rescaled, numerators, denominators = [], [], []  # by block
        for block in range(blocks):
            shifts = random.integers(0, random.choice([1, 6, MAX_RESCALE + 1]), (2, config.queries))
            await bench.begin(int(block == 0), int(block == blocks - 1), *shifts.tolist(), exponent)
            numerators.append(np.zeros((config.queries, config.head_dim), np.int64))
            denominators.append(np.zeros(config.queries, np.int64))
            rescaled.append(shifts)
            count = int(random.choice([1, 2, KV_BLOCK]))
            for n in range(count * chunks):
                position, chunk = divmod(n, chunks)
                while random.random() < gap:
                    bench.key()
                    await beat(beats[-1])
                products = random.integers(
                    -1 << PRODUCT_BITS - 1,
                    1 << PRODUCT_BITS - 1,
                    (config.queries, config.beat_bytes),
                )
                shares = random.integers(0, 1 << WEIGHT_BITS, config.queries)
                numerators[-1][:, config.beat_bytes * chunk :][:, : config.beat_bytes] += products
                denominators[-1] += shares if chunk == 0 else 0
                dut.closing.value = 0
                bench.share(shares)
                bench.tag(
                    value=1,
                    chunk=chunk,
                    start=int(chunk == 0),
                    end=int(chunk == chunks - 1),
                    open=int(position == 0),
                    close=int(position == count - 1),
                    first=int(block == 0),
                    last=int(block == blocks - 1),
                )
                await beat(products)
            dut.closing.value = 1
            await beat(beats[-1])
            dut.closing.value = 0
            await beat(beats[-1])
        got, (right, less) = await bench.finish(exponent), np.array(rescaled).swapaxes(0, 1)
        assert np.array_equal(got[0], ACCUMULATE.expect(right[..., None], np.array(numerators)))
        assert np.array_equal(got[1], ACCUMULATE.expect(less, np.array(denominators)))


@cocotb.test()
async def largest_sums(dut):
    """As many positions as there can be, with the largest weights and values of either sign.

    The beats of a block are all the same, so that time passes without this bench's help; chunks,
    which are not, come for fewer positions.
    """
    await start(dut)
    bench = Bench(dut)
    config, chunks, exponent = bench.config, bench.chunks, [0] * bench.config.queries
    weight = (1 << WEIGHT_BITS) - 1
    products = np.full((config.queries, config.beat_bytes), 127 * weight)
    products[:, ::2] = -128 * weight
    bench.multiply(products)
    bench.share([weight] * config.queries)
    blocks = (POSITIONS if chunks == 1 else 2048) // KV_BLOCK
    for block in range(blocks):
        first, last = int(block == 0), int(block == blocks - 1)
        await bench.begin(first, last, [0] * config.queries, [0] * config.queries, exponent)
        beat = {"value": 1, "first": first, "last": last}
        for chunk in range(chunks):
            bench.tag(
                **beat, chunk=chunk, start=int(chunk == 0), end=int(chunk == chunks - 1), open=1
            )
            await cycles(dut)
        for position in range(1, KV_BLOCK):
            close = int(position == KV_BLOCK - 1)
            if chunks == 1 and not close:
                if position == 1:
                    bench.tag(**beat, start=1, end=1)
                    # To the middle of the last cycle before that of the closing beat.
                    await Timer(PERIOD * (KV_BLOCK - 2) - PERIOD // 2, "ns")
                    await cycles(dut)
                continue
            for chunk in range(chunks):
                end = int(chunk == chunks - 1)
                bench.tag(**beat, chunk=chunk, start=int(chunk == 0), end=end, close=close)
                dut.closing.value = close & end
                await cycles(dut)
        dut.closing.value = 0
        bench.tag()
    numerators, denominators = await bench.finish(exponent)
    count = blocks * KV_BLOCK
    assert (denominators == count * weight).all()
    assert np.array_equal(numerators, count * np.tile(products, chunks))
