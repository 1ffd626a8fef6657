"""Best-logits search."""

import cocotb
import numpy as np
from cocotb.triggers import FallingEdge

from rtl.linear.best import BestLogits
from rtl.spec.csr import BEST
from rtl.spec.limits import ROW_BITS
from rtl.spec.payloads import Logit
from sim.harness.bench import Source, cycles, rng, start
from sim.harness.patterns import EDGES, is_finite, patterns
from sim.oracles.linear import BEST_LOGITS


CASES = {"all": BestLogits}

# Logits may be: zeros, normals. Of both signs, the classes of exponents first.
FINITE = [
    x ^ sign
    for x in EDGES[: len(EDGES) // 2]
    if is_finite(x) and (x == 0 or x >> 23)
    for sign in (0, 0x80000000)
]


def logits(random, kind, count):
    """fp32 bits."""
    if kind == "ascending":
        return np.sort(logits(random, "random", count).view(np.float32)).view(np.uint32)
    if kind == "ties":
        return np.array([random.choice(FINITE[:12]) for _ in range(count)], np.uint32)
    if kind == "edges":
        return np.array([random.choice(FINITE) for _ in range(count)], np.uint32)
    if kind == "least":
        return np.full(count, 0xFF7FFFFF, np.uint32)
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
async def matches_reference(dut):
    random = rng()
    await start(dut)
    for gap, kind, count in [
        (0, "random", 700),
        (0.5, "random", 200),
        (0, "ascending", 150),
        (0.2, "ties", 300),
        (0, "edges", 300),
        (0, "zeros", 100),
        (0, "least", 70),
        (0, "least", 3),
        (0, "ties", 0),
        *((0, kind, count) for kind in ("random", "ties", "zeros") for count in (1, 2, 63, 64, 65)),
    ]:
        source = Source(dut, "i", Logit, gap=gap)
        dut.clear.value = 1
        await cycles(dut)
        dut.clear.value = 0
        values = logits(random, kind, count)
        # They rise, and all of their bits matter.
        rows = sorted(rng(f"rows {kind}").sample(range(1 << ROW_BITS), count))
        await source.send_all([{"id": row, "value": int(v)} for row, v in zip(rows, values)])
        await idle(dut)
        ids, largest = BEST_LOGITS.expect(values.view(np.float32))
        ids[:count] = [rows[n] for n in ids[:count]]
        want = list(zip(patterns(largest), ids.tolist(), strict=True))
        entry = []
        for place in range(BEST):
            dut.index.value = place
            await cycles(dut)
            await FallingEdge(dut.clk)
            view = Logit.from_bits(int(dut.entry.value))
            entry.append((view.value, view.id))
        for place, (got, due) in enumerate(zip(entry, want)):
            assert got == due, f"{kind}: place {place} must be {due}, not {got}"


@cocotb.test()
async def keeps_up(dut):
    """A logit that is not among the best takes a cycle, another one 22 at most."""
    await start(dut)
    dut.clear.value = 1
    await cycles(dut)
    dut.clear.value = 0
    source, taken = Source(dut, "i", Logit, gap=0), 0

    async def count():
        nonlocal taken
        while True:
            await FallingEdge(dut.clk)
            taken += int(dut.busy.value)

    cocotb.start_soon(count())
    for values, each in (
        (np.arange(BEST, 0, -1), 7),  # behind all
        (np.zeros(300), 1),
        (np.arange(100, 200), 22),  # ahead of all
    ):
        taken = 0
        bits = values.astype(np.float32).view(np.uint32)
        await source.send_all([{"id": n, "value": int(v)} for n, v in enumerate(bits)])
        await idle(dut)
        assert taken <= each * len(values) + 8, f"{len(values)} logits took {taken} cycles"
