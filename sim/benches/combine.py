"""Write combining against the memory that the words describe."""

import cocotb
from cocotb.triggers import FallingEdge
from rtl.config import get
from rtl.layouts import vector_write
from rtl.linear.combine import Combiner, WordWrite
from sim.bench import Sink, Source, case, cycles, rng, start


CASES = {
    "small": lambda: Combiner(get("small")),
    "wide":  lambda: Combiner(get("wide")),
}


def words(random, size, count):
    """Runs of neighbours, scattered words, and words that are written twice."""
    addr = 0
    for k in range(count):
        addr = (random.choice([addr + 1] * 8 + [addr, addr + size // 2, random.randrange(size)])
                % size)
        yield {"addr": addr, "data": random.getrandbits(32),
               "last": int(k == count - 1 or random.random() < 0.05)}


def lines(config, sent):
    """Lines that `sent` shall become."""
    line = None
    for word in sent:
        at, lane = divmod(word["addr"], config.lanes)
        if line is None or line["line"] != at:
            if line is not None:
                yield line
            line = {"line": at, "mask": 0, "data": [0] * config.lanes}
        line["mask"] |= 1 << lane
        line["data"][lane] = word["data"]
        if word["last"]:
            yield line
            line = None


@cocotb.test()
async def combines_neighbours(dut):
    config, random = CASES[case()]().config, rng()
    await start(dut)
    for gap, stall in [(0, 0), (0.3, 0.3), (0.6, 0), (0, 0.6)]:
        source = Source(dut, "i", WordWrite, gap=gap)
        sink = Sink(dut, "o", vector_write(config), stall=stall)
        sent = list(words(random, config.vector_words, 400))
        sending = cocotb.start_soon(source.send_all(sent))
        for want in lines(config, sent):
            got = await sink.receive()
            # Words that are not written may hold anything.
            got["data"] = [d if got["mask"] >> k & 1 else 0 for k, d in enumerate(got["data"])]
            assert got == want
        await sending
        await FallingEdge(dut.clk)
        assert not int(dut.busy.value)
        await cycles(dut)
