"""Accumulators of attention: sums of random blocks, and the largest sums that there can be."""

import cocotb
import numpy as np
from cocotb.triggers import FallingEdge, Timer

from rtl.attention.accumulate import Accumulators, SumWords, words_at_once
from rtl.attention.products import PRODUCT_BITS, ProductArray
from rtl.attention.softmax import MAX_RESCALE, Rescale
from rtl.attention.tag import Tag
from rtl.spec.config import KV_BLOCK, Config
from rtl.spec.limits import POSITIONS, WEIGHT_BITS
from sim.harness.bench import Sink, Source, case, cycles, get_port, rng, start, to_bits
from sim.oracles.attention import ACCUMULATE


CONFIGS = {
    "chunks": Config(name="chunks", beat_bits=128, columns=1, lanes=4, queries=3),
    "single": Config(name="single", beat_bits=512, columns=1, lanes=4, queries=1),
    "eight": Config(name="eight", beat_bits=64, columns=1, lanes=4, queries=3, head_dim=128),
    "two": Config(name="two", beat_bits=16, columns=1, lanes=2, queries=2),
}
CASES = {name: lambda config=config: Accumulators(config) for name, config in CONFIGS.items()}
PERIOD = 10  # of the clock, ns
PATIENCE = 100_000  # cycles


class Bench:
    """Drives rescaling and beats, as softmax and intake do, and collects the sums."""

    def __init__(self, dut, stall=0.0):
        self.dut, self.config = dut, CONFIGS[case()]
        self.random = np.random.default_rng(rng().getrandbits(32))
        self.chunks = self.config.head_dim // self.config.beat_bytes
        self.rescale = Source(dut, "rescale", Rescale(self.config), gap=0)
        self.o = Sink(dut, "o", SumWords(self.config), stall=stall, limit=PATIENCE)
        self.products = [
            [get_port(dut, f"products.{q}.{n}") for n in range(self.config.beat_bytes)]
            for q in range(self.config.queries)
        ]
        # What leaves the multipliers, by beat: later than its tag comes.
        self.later = [np.zeros((self.config.queries, self.config.beat_bytes), np.int64)]
        self.later *= ProductArray.LATENCY

    async def clear(self, queries):
        """Begin an instruction."""
        self.dut.queries.value = self.queries = queries
        self.dut.clear.value = 1
        await cycles(self.dut)
        self.dut.clear.value = 0

    async def begin(self, first, last, numerator, denominator, exponent):
        """Rescale before a block."""
        await self.rescale.send(
            {
                "first": first,
                "last": last,
                "numerator": numerator,
                "denominator": denominator,
                "exponent": exponent,
            }
        )

    async def beat(self, products=None):
        """A cycle, in which the tag and the shares are what they are."""
        self.later.append(self.later[-1] if products is None else products)
        self.multiply(self.later.pop(0))
        await cycles(self.dut)
        self.tag()

    async def value(self, shares, products, close, **flags):
        """A beat of values; one that closes a chunk as soon as that is open."""
        if close:
            for _ in range(200):
                await FallingEdge(self.dut.clk)
                if int(self.dut.open.value):
                    break
                await self.beat()
            else:
                raise AssertionError("open stays low")
            # As intake does: a cycle before the tag.
            self.dut.closing.value = 1
            await self.beat()
            self.dut.closing.value = 0
        self.share(shares)
        self.tag(value=1, close=int(close), **flags)
        await self.beat(products)

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
        """Receive the sums of a head: numerators (queries, head_dim), denominators."""
        words, width = words_at_once(self.config), self.config.beat_bytes
        numerators = np.zeros((self.queries, self.config.head_dim), np.int64)
        denominators = np.zeros(self.queries, np.int64)
        for chunk in range(self.chunks):
            for q in range(self.queries):
                for run in range(width // words):
                    got = await self.o.receive()
                    assert not got["denominator"] and got["exponent"] == exponent[q]
                    place = chunk * width // words + run
                    assert (got["query"], got["place"]) == (q, place)
                    numerators[q, words * place :][:words] = got["words"]
        for q in range(self.queries):
            got = await self.o.receive()
            assert got["denominator"] and got["query"] == q
            assert set(got["words"]) == {got["words"][0]}
            denominators[q] = got["words"][0]
        return numerators, denominators


@cocotb.test()
@cocotb.parametrize(gap=[0, 0.4], stall=[0, 0.4])
async def adds_and_rescales(dut, gap, stall):
    """Blocks of all sizes, with shifts by all amounts before them, of all queries or fewer."""
    await start(dut)
    bench = Bench(dut, stall)
    config, random, chunks = bench.config, bench.random, bench.chunks
    for turn, blocks in enumerate((1, 2, 9, 1, 5)):
        if turn != 1:  # the second head is the same instruction's
            await bench.clear(int(random.integers(1, config.queries + 1)))
        exponent = random.integers(0, 256, config.queries).tolist()
        rescaled, numerators, denominators = [], [], []  # by block
        finished = cocotb.start_soon(bench.finish(exponent))
        for block in range(blocks):
            shifts = random.integers(0, random.choice([1, 6, MAX_RESCALE + 1]), (2, config.queries))
            await bench.begin(int(block == 0), int(block == blocks - 1), *shifts.tolist(), exponent)
            numerators.append(np.zeros((config.queries, config.head_dim), np.int64))
            denominators.append(np.zeros(config.queries, np.int64))
            rescaled.append(shifts)
            count = int(random.choice([1, 2, KV_BLOCK]))
            for n in range(count * chunks):
                chunk, position = divmod(n, count)
                while random.random() < gap:
                    bench.key()
                    await bench.beat()
                products = random.integers(
                    -1 << PRODUCT_BITS - 2,
                    1 << PRODUCT_BITS - 2,
                    (config.queries, config.beat_bytes),
                )
                shares = random.integers(0, 1 << WEIGHT_BITS, config.queries)
                numerators[-1][:, config.beat_bytes * chunk :][:, : config.beat_bytes] += products
                denominators[-1] += shares if chunk == 0 else 0
                await bench.value(
                    shares,
                    products,
                    position == count - 1,
                    chunk=chunk,
                    start=int(chunk == 0),
                    end=int(chunk == chunks - 1),
                    open=int(position == 0),
                    first=int(block == 0),
                    last=int(block == blocks - 1),
                )
            for _ in range(ProductArray.LATENCY):
                await bench.beat()
        got, (right, less) = await finished, np.array(rescaled).swapaxes(0, 1)
        its = slice(bench.queries)
        want = ACCUMULATE.expect(right[..., None], np.array(numerators))
        assert np.array_equal(got[0], want[its])
        assert np.array_equal(got[1], ACCUMULATE.expect(less, np.array(denominators))[its])


@cocotb.test()
async def largest_sums(dut):
    """As many positions as there can be, with the largest weights and values of either sign, in one
    chunk; where there are several, for fewer positions.

    The beats of a block are all the same, so that time passes without this bench's help.
    """
    await start(dut)
    bench = Bench(dut)
    config, chunks, exponent = bench.config, bench.chunks, [0] * bench.config.queries
    await bench.clear(config.queries)
    weight = (1 << WEIGHT_BITS) - 1
    products = np.full((config.queries, config.beat_bytes), 127 * weight)
    products[:, ::2] = -128 * weight
    bench.later = [products] * ProductArray.LATENCY
    bench.multiply(products)
    bench.share([weight] * config.queries)
    blocks = (POSITIONS if chunks == 1 else 2048) // KV_BLOCK
    finished = cocotb.start_soon(bench.finish(exponent))
    for block in range(blocks):
        first, last = int(block == 0), int(block == blocks - 1)
        await bench.begin(first, last, [0] * config.queries, [0] * config.queries, exponent)
        for chunk in range(chunks):
            beat = {"chunk": chunk, "start": int(chunk == 0), "end": int(chunk == chunks - 1)}
            bench.tag(value=1, first=first, last=last, open=1, **beat)
            await cycles(dut)
            bench.tag(value=1, first=first, last=last, **beat)
            # To the middle of the last cycle before that of the closing beat.
            await Timer(PERIOD * (KV_BLOCK - 2) - PERIOD // 2, "ns")
            await cycles(dut)
            bench.tag()
            await bench.value(
                [weight] * config.queries, products, True, first=first, last=last, **beat
            )
    numerators, denominators = await finished
    count = blocks * KV_BLOCK
    assert (denominators == count * weight).all()
    assert np.array_equal(numerators, count * np.tile(products, chunks))
