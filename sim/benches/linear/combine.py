"""Write combining against the memory that the words describe."""

import cocotb
from cocotb.triggers import FallingEdge

from rtl.linear.combine import Combiner, WordWrite
from rtl.spec.config import get
from rtl.spec.payloads import vector_write
from sim.harness.bench import Sink, Source, case, cycles, rng, start


CASES = {
    "small": lambda: Combiner(get("small")),
    "wide": lambda: Combiner(get("wide")),
}


def words(random, size, count):
    """Runs of neighbours, scattered words, and words that are written twice."""
    addr = 0
    for k in range(count):
        addr = (
            random.choice([addr + 1] * 8 + [addr, addr + size // 2, random.randrange(size)]) % size
        )
        yield {
            "addr": addr,
            "data": random.getrandbits(32),
            "last": int(k == count - 1 or random.random() < 0.05),
        }


def lines(config, sent):
    """Lines that `sent` shall become; and for each word, which of them it goes to."""
    lines, places, ended = [], [], True
    for word in sent:
        at, lane = divmod(word["addr"], config.lanes)
        if ended or lines[-1]["line"] != at:
            lines.append({"line": at, "mask": 0, "data": [0] * config.lanes})
        lines[-1]["mask"] |= 1 << lane
        lines[-1]["data"][lane] = word["data"]
        places.append(len(lines) - 1)
        ended = word["last"]
    return lines, places


async def watch(dut, source, sink, places):
    """`busy` tells whether a word was taken that has not been written."""
    while True:
        await FallingEdge(dut.clk)
        held = source.count > 0 and sink.count <= places[source.count - 1]
        assert int(dut.busy.value) == held, (
            f"busy must be {int(held)} with {source.count} words taken, {sink.count} lines written"
        )


@cocotb.test()
async def combines_neighbours(dut):
    config, random = CASES[case()]().config, rng()
    await start(dut)
    for gap, stall in [(0, 0), (0.3, 0.3), (0.6, 0), (0, 0.6)]:
        source = Source(dut, "i", WordWrite, gap=gap)
        sink = Sink(dut, "o", vector_write(config), stall=stall)
        sent = list(words(random, config.vector_words, 400))
        sending = cocotb.start_soon(source.send_all(sent))
        wanted, places = lines(config, sent)
        watching = cocotb.start_soon(watch(dut, source, sink, places))
        for want in wanted:
            got = await sink.receive()
            # Words that are not written may hold anything.
            got["data"] = [d if got["mask"] >> k & 1 else 0 for k, d in enumerate(got["data"])]
            assert got == want
        await sending
        await FallingEdge(dut.clk)
        assert not int(dut.busy.value)
        await cycles(dut)
        watching.cancel()
