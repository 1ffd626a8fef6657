"""Vector memory: priority of writers, write masks, and read-after-write latency."""

import cocotb
from cocotb.triggers import FallingEdge, RisingEdge

from rtl.spec.config import Config, get
from rtl.spec.payloads import vector_write
from rtl.vector.memory import VectorMemory
from sim.harness.bench import Source, case, from_bits, get_port, rng, start


CONFIGS = {
    "small": get("small"),
    "tiny": Config(name="tiny", beat_bits=128, columns=1, lanes=2, vector_words=64),
}
WRITERS = 3
CASES = {
    name: lambda config=config: VectorMemory(config, WRITERS) for name, config in CONFIGS.items()
}
LINES = 32  # Few of them, so that reads and writes meet.


def writes(config, random, count):
    for _ in range(count):
        yield {
            "line": random.randrange(LINES),
            "mask": random.getrandbits(config.lanes),
            "data": [random.getrandbits(32) for _ in range(config.lanes)],
        }


class Monitor:
    """What the memory should hold, from the writes seen to be accepted."""

    def __init__(self, dut, config):
        self.dut, self.config = dut, config
        self.lines = [[None] * config.lanes for _ in range(LINES)]
        self.coming = [None, None]  # Writes of this cycle and the one before.
        self.accepted = [0] * WRITERS

    def sample(self):
        """Check the writers' handshakes, and make the write of two cycles ago visible."""
        if (write := self.coming.pop(0)) is not None:
            for n, word in enumerate(write["data"]):
                if write["mask"] >> n & 1:
                    self.lines[write["line"]][n] = word
        names = [f"writers.{n}" for n in range(WRITERS)]
        valid = [int(get_port(self.dut, f"{name}.valid").value) for name in names]
        ready = [int(get_port(self.dut, f"{name}.ready").value) for name in names]
        assert ready == [int(not any(valid[:n])) for n in range(WRITERS)]
        self.coming.append(None)
        if any(valid):
            n = valid.index(1)
            self.accepted[n] += 1
            self.coming[-1] = from_bits(
                vector_write(self.config), int(get_port(self.dut, f"{names[n]}.payload").value)
            )


@cocotb.test()
async def reads_among_writes(dut):
    config, random = CONFIGS[case()], rng("writes")
    await start(dut)
    monitor = Monitor(dut, config)
    count = 600
    for n in range(WRITERS):
        source = Source(dut, f"writers.{n}", vector_write(config), gap=0.4 + 0.2 * (n == 0))
        cocotb.start_soon(source.send_all(list(writes(config, random, count))))

    expected = {}
    for _ in range(8 * count):
        lines = {}
        for name in "abc":
            line, en = random.randrange(LINES), random.random() < 0.8
            get_port(dut, f"{name}.line").value = line
            get_port(dut, f"{name}.en").value = en
            if en:
                lines[name] = line
        await FallingEdge(dut.clk)
        for name, words in expected.items():
            got = int(get_port(dut, f"{name}.data").value)
            for n, word in enumerate(words):
                assert word in (None, got >> 32 * n & 0xFFFFFFFF)
        monitor.sample()
        for name, line in lines.items():
            expected[name] = list(monitor.lines[line])
        if monitor.accepted == [count] * WRITERS:
            break
        await RisingEdge(dut.clk)
    else:
        raise AssertionError(f"only {monitor.accepted} writes accepted")


@cocotb.test()
async def every_line(dut):
    """All lines are distinct, in all copies."""
    config, random = CONFIGS[case()], rng("lines")
    await start(dut)
    count = config.vector_words // config.lanes
    words = [[random.getrandbits(32) for _ in range(config.lanes)] for _ in range(count)]
    source = Source(dut, "writers.2", vector_write(config), gap=0)
    await source.send_all(
        {"line": line, "mask": (1 << config.lanes) - 1, "data": words[line]}
        for line in random.sample(range(count), count)
    )
    await RisingEdge(dut.clk)
    for line in random.sample(range(count), count):
        for name in "abc":
            get_port(dut, f"{name}.line").value = line
            get_port(dut, f"{name}.en").value = 1
        await RisingEdge(dut.clk)
        await FallingEdge(dut.clk)
        for name in "abc":
            got = int(get_port(dut, f"{name}.data").value)
            assert got == sum(word << 32 * n for n, word in enumerate(words[line]))
        await RisingEdge(dut.clk)
