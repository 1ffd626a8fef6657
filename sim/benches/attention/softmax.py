"""Weights and rescaling of online softmax."""

import cocotb
import numpy as np
from amaranth import *
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped
from cocotb.triggers import Event, FallingEdge

from rtl.attention.scores import SCORE_BITS, Score
from rtl.attention.softmax import MAX_RESCALE, Rescale, Softmax, Weights
from rtl.spec.config import Config, get
from sim.harness.bench import Sink, case, cycles, get_port, rng, start, to_bits
from sim.oracles.attention import WEIGHTS
from sw_ref.attention import BLOCK, FRACTION


class Ports(wiring.Component):
    """Softmax. A stream that is always ready cannot be a port of a design."""

    def __init__(self, config):
        self.config = config
        super().__init__(
            {
                "score": In(Score(config)),
                "valid": In(1),
                "rescale": Out(stream.Signature(Rescale(config))),
                "weights": Out(stream.Signature(Weights(config))),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.softmax = softmax = Softmax(self.config)
        m.d.comb += [softmax.i.payload.eq(self.score), softmax.i.valid.eq(self.valid)]
        connect(m, flipped(self.rescale), softmax.rescale)
        connect(m, flipped(self.weights), softmax.weights)
        return m


CONFIGS = {
    "small": get("small"),
    "one": Config(name="one", beat_bits=512, columns=1, lanes=4, queries=1),  # one chunk
    "eight": Config(name="eight", beat_bits=64, columns=1, lanes=4, queries=1, head_dim=128),
    "two": Config(name="two", beat_bits=16, columns=1, lanes=2, queries=2),
}
CASES = {name: lambda config=config: Ports(config) for name, config in CONFIGS.items()}
LIMIT = 1 << SCORE_BITS - 1
STYLES = ["real", "wild", "leap", "edge", "equal"]


class Block:
    """Scores (queries, positions) and exponents of a block; what is to come of it."""

    def __init__(self, score, exponent, first, last):
        self.score, self.exponent, self.first, self.last = score, exponent, first, last

    def payloads(self):
        count = len(self.exponent)
        for n in range(count):
            yield {
                "scores": self.score[:, n].tolist(),
                "exponent": int(self.exponent[n]),
                "open": int(n == 0),
                "close": int(n == count - 1),
                "first": int(self.first),
                "last": int(self.last),
            }


def head(numbers, queries, length, style):
    """Blocks of one head."""
    match style:
        case "real":  # as of a language model
            score = numbers.normal(0, 4 << FRACTION, (queries, length)).astype(np.int64)
            exponent = numbers.integers(105, 146, length)
        case "wild":
            score = numbers.integers(-LIMIT, LIMIT, (queries, length))
            exponent = numbers.integers(0, 256, length)
        case "leap":  # maxima grow from block to block, by all sorts of steps
            steps = numbers.integers(0, numbers.choice([2, 17, 60]) << FRACTION, (queries, 9))
            score = (
                steps.cumsum(1)[:, np.arange(length) // BLOCK]
                - (50 << FRACTION)
                + numbers.integers(-20 << FRACTION, 1, (queries, length))
            )
            exponent = numbers.integers(0, 25, 9).cumsum()[np.arange(length) // BLOCK]
        case "edge":
            score = numbers.choice([-LIMIT, LIMIT - 1, 0, -1, 1023, 1024, -1024], (queries, length))
            exponent = numbers.choice([0, 255, 127], length)
        case "equal":
            score = np.full((queries, length), int(numbers.choice([-LIMIT, 0, LIMIT - 1])))
            exponent = np.full(length, int(numbers.choice([0, 130, 255])))
    return [
        Block(score[:, at : at + BLOCK], exponent[at : at + BLOCK], at == 0, at + BLOCK >= length)
        for at in range(0, length, BLOCK)
    ]


def heads(blocks):
    """The blocks of each head."""
    first = [n for n, block in enumerate(blocks) if block.first]
    return [blocks[at:end] for at, end in zip(first, [*first[1:], len(blocks)])]


def chunks(config):
    """How often a block's weights come."""
    return config.head_dim // config.beat_bytes


def expected(blocks, times):
    """Per block: the payload of `rescale`, and those of `weights`, so many times."""
    for own in heads(blocks):
        score = np.concatenate([block.score for block in own], 1)
        exponent = np.concatenate([block.exponent for block in own])
        *shifts, factors, shares, lifts = WEIGHTS.expect(score, exponent)
        numerator, denominator = (np.minimum(x, MAX_RESCALE) for x in shifts)
        for n, block in enumerate(own):
            at = range(n * BLOCK, n * BLOCK + len(block.exponent))
            yield (
                {
                    "numerator": numerator[:, n].tolist(),
                    "denominator": denominator[:, n].tolist(),
                    "exponent": lifts[:, n].tolist(),
                    "first": int(block.first),
                    "last": int(block.last),
                },
                [{"shares": shares[:, t].tolist(), "factors": factors[:, t].tolist()} for t in at]
                * times,
            )


class Bench:
    def __init__(self, dut, *, gap=0.0, stall=0.0):
        self.dut, self.config, self.gap = dut, CONFIGS[case()], gap
        self.random = rng(f"{gap} {stall}")
        self.numbers = np.random.default_rng(self.random.getrandbits(32))
        self.rescale = Sink(dut, "rescale", Rescale(self.config), stall=stall)
        self.weights = Sink(dut, "weights", Weights(self.config), stall=stall)
        self.begun = Event()

    async def send(self, blocks):
        """Send scores as attention does: a block's follow once the block before is in use."""
        dut, random = self.dut, self.random
        for n, block in enumerate(blocks):
            if n:
                await self.begun.wait()
                self.begun.clear()
            for payload in block.payloads():
                while random.random() < self.gap:
                    await cycles(dut)
                dut.valid.value = 1
                dut.score.value = to_bits(Score(self.config), payload)
                await cycles(dut)
                dut.valid.value = 0
                dut.score.value = random.getrandbits(len(dut.score))

    async def watch(self):
        """Notice when a block comes into use: its rescaling is offered."""
        valid, ready = (get_port(self.dut, f"rescale.{name}") for name in ("valid", "ready"))
        offered = False
        while True:
            await FallingEdge(self.dut.clk)
            if int(valid.value) and not offered:
                self.begun.set()
            offered = int(valid.value) and not int(ready.value)
            await cycles(self.dut)

    async def check(self, blocks):
        wanted = list(expected(blocks, chunks(self.config)))
        tasks = [cocotb.start_soon(self.watch()), cocotb.start_soon(self.send(blocks))]

        async def check_rescale():
            for rescale, _ in wanted:
                got = await self.rescale.receive()
                if rescale["first"]:
                    # The shifts are without meaning.
                    got.update({x: rescale[x] for x in ("numerator", "denominator")})
                assert got == rescale, f"rescale must be {rescale}, not {got}"

        rescaling = cocotb.start_soon(check_rescale())
        for _, weights in wanted:
            await self.weights.expect_all(weights)
        await rescaling
        await tasks[1]
        await self.weights.expect_none()
        tasks[0].cancel()


@cocotb.test()
@cocotb.parametrize(gap=[0, 0.4], stall=[0, 0.4])
async def matches_the_reference(dut, gap, stall):
    await start(dut)
    bench = Bench(dut, gap=gap, stall=stall)
    blocks = []
    for n, length in enumerate([1, 2, 31, 32, 33, 64, 65, 250, 1, 1, 100, 7, 200]):
        blocks += head(bench.numbers, bench.config.queries, length, STYLES[n % len(STYLES)])
    await bench.check(blocks)


@cocotb.test()
async def latency(dut):
    """From a block's last score to its first weights; then weights in every cycle."""
    await start(dut)
    bench = Bench(dut)
    blocks = head(bench.numbers, bench.config.queries, BLOCK, "real")
    valid = get_port(dut, "weights.valid")
    get_port(dut, "weights.ready").value = get_port(dut, "rescale.ready").value = 1
    await bench.send(blocks)
    offers, count = [], BLOCK * chunks(bench.config)
    for _ in range(count + 20):
        await FallingEdge(dut.clk)
        offers.append(int(valid.value))
        await cycles(dut)
    before = offers.index(1)
    assert offers[before : before + count + 1] == [1] * count + [0]
    # The last score's own cycle is not among these.
    assert before + 1 == 6, f"latency must be 6, not {before + 1}"
