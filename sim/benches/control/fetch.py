"""Program fetcher and memory, with beats of a sixteenth, half a word, a word, and two."""

import cocotb
from cocotb.triggers import FallingEdge

from rtl.control.fetch import Fetch
from rtl.spec.config import UNIT_BYTES, Config, get
from rtl.spec.isa import WORD_BITS
from rtl.spec.payloads import ReadRequest
from sim.harness.bench import Sink, Source, case, cycles, get_port, rng, start


CONFIGS = {
    "narrow": Config(name="narrow", beat_bits=16, columns=1, lanes=4, program_words=16),
    "half": Config(name="half", beat_bits=128, columns=1, lanes=4, program_words=64),
    "same": Config(name="same", beat_bits=256, columns=1, lanes=4, program_words=16),
    "double": get("wide"),
}
CASES = {name: lambda config=config: Fetch(config) for name, config in CONFIGS.items()}
UNIT_WORDS = UNIT_BYTES * 8 // WORD_BITS


def beats(config, words):
    """Beats that hold the words, which are whole units."""
    text = sum(word << WORD_BITS * n for n, word in enumerate(words))
    for n in range(len(words) // UNIT_WORDS * config.unit_beats):
        yield text >> config.beat_bits * n & (1 << config.beat_bits) - 1


class Bench:
    def __init__(self, dut, config, *, gap=0.0, stall=0.0):
        self.dut, self.config, self.random = dut, config, rng(f"{gap} {stall}")
        self.req = Sink(dut, "req", ReadRequest, stall=stall)
        self.data = Source(dut, "data", config.beat_bits, gap=gap)

    async def fetch(self, length, last=False):
        """Fetch a random program; returns it, and the cycles from its request to its end.

        After the `last` one, a beat that nobody has asked for is on offer for good.
        """
        dut, random = self.dut, self.random
        units = (length + UNIT_WORDS - 1) // UNIT_WORDS
        words = [random.getrandbits(WORD_BITS) for _ in range(units * UNIT_WORDS)]
        dut.program.value = program = random.choice([0, (1 << 32) - 1, random.getrandbits(32)])
        dut.length.value = length
        dut.start.value = 1
        await cycles(dut)
        # Both were sampled, and another start is ignored.
        dut.program.value = random.getrandbits(32)
        dut.length.value = random.getrandbits(32)
        await FallingEdge(dut.clk)
        assert int(dut.busy.value)
        await cycles(dut, 1 + random.randrange(4))
        assert await self.req.receive() == {"addr": program, "size": units}
        sending = cocotb.start_soon(self.data.send_all(beats(self.config, words)))
        dut.start.value = 0
        for took in range(20000):
            if sending.done() and last:
                get_port(dut, "data.valid").value = 1
            await FallingEdge(dut.clk)
            assert not (sending.done() and int(get_port(dut, "data.ready").value))
            if not int(dut.busy.value):
                break
            await cycles(dut)
        else:
            raise AssertionError(f"{length} words: busy for ever")
        assert sending.done()
        await cycles(dut)
        await self.req.expect_none(3)
        assert not int(get_port(dut, "data.ready").value)
        return words[:length], took

    async def expect(self, words):
        """Read the memory, in order and then at random, one word per cycle."""
        indices = [*range(len(words)), *(self.random.randrange(len(words)) for _ in range(50))]
        last = None
        for index in indices:
            self.dut.index.value = index
            await FallingEdge(self.dut.clk)
            assert last is None or int(self.dut.word.value) == words[last], f"word {last}"
            await cycles(self.dut)
            last = index


@cocotb.test()
@cocotb.parametrize(gap=[0, 0.5], stall=[0, 0.5])
async def copies(dut, gap, stall):
    config = CONFIGS[case()]
    await start(dut)
    bench = Bench(dut, config, gap=gap, stall=stall)
    size = min(config.program_words, 64)
    for length in [1, 2, 3, size, size - 1, bench.random.randrange(1, size), 4, 1]:
        words, _ = await bench.fetch(length)
        await bench.expect(words)
    words, _ = await bench.fetch(5, last=True)
    await bench.expect(words)


@cocotb.test()
async def fills_the_memory(dut):
    """As fast as promised, to the last word."""
    config = CONFIGS[case()]
    await start(dut)
    bench = Bench(dut, config)
    words, took = await bench.fetch(config.program_words, last=True)
    pace = max(1, WORD_BITS // config.beat_bits) * config.program_words
    assert pace <= took <= pace + 4, f"{len(words)} words took {took} cycles"
    await bench.expect(words)


@cocotb.test()
async def nothing_to_fetch(dut):
    config = CONFIGS[case()]
    await start(dut)
    bench = Bench(dut, config)
    await bench.fetch(0)
    words, _ = await bench.fetch(5)
    await bench.expect(words)
