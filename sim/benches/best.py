"""Best-logits search against a stable argsort."""

import cocotb
import numpy as np
from cocotb.triggers import FallingEdge
from rtl.csr import BEST
from rtl.layouts import Logit
from rtl.linear.best import BestLogits
from sim.bench import Source, cycles, rng, start


CASES = {"all": BestLogits}


def logits(random, kind, count):
    """fp32 bits."""
    if kind == "ascending":
        return np.sort(logits(random, "random", count).view(np.float32)).view(np.uint32)
    if kind == "ties":
        edges = [0, 0x80000000, 0x3f800000, 0xbf800000, 0x00800000, 0x80800000, 0x7f800000,
                 0x7f7fffff, 0xff7fffff]
        return np.array([random.choice(edges) for _ in range(count)], np.uint32)
    if kind == "zeros":
        return np.array([random.choice([0, 0x80000000]) for _ in range(count)], np.uint32)
    return np.array([random.gauss(0, 5) for _ in range(count)], np.float32).view(np.uint32)


async def idle(dut, limit=5000):
    for _ in range(limit):
        await FallingEdge(dut.clk)
        if not int(dut.busy.value):
            return await cycles(dut)
    raise AssertionError(f"still busy after {limit} cycles")


@cocotb.test()
async def matches_argsort(dut):
    random = rng()
    await start(dut)
    for gap, kind, count in [(0, "random", 700), (0.5, "random", 200), (0, "ascending", 150),
                             (0.2, "ties", 300), (0, "zeros", 100), (0, "random", 5),
                             (0, "ties", 0)]:
        source = Source(dut, "i", Logit, gap=gap)
        dut.clear.value = 1
        await cycles(dut)
        dut.clear.value = 0
        values = logits(random, kind, count)
        await source.send_all([{"id": n, "value": int(v)} for n, v in enumerate(values)])
        await idle(dut)
        order = np.argsort(-values.view(np.float32), kind="stable")[:BEST]
        want = [(int(values[n]), int(n)) for n in order]
        want += [(0xff800000, 0)] * (BEST - len(want))
        entry = []
        for place in range(BEST):
            dut.index.value = place
            await cycles(dut)
            await FallingEdge(dut.clk)
            view = Logit.from_bits(int(dut.entry.value))
            entry.append((view.value, view.id))
        for place, (got, due) in enumerate(zip(entry, want)):
            assert got == due, f"{kind}: place {place} must be {due}, not {got}"
