"""Caps of scores."""

import cocotb
import numpy as np
from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from cocotb.triggers import FallingEdge

from rtl.attention.cap import ScoreCap
from rtl.attention.scores import Score
from rtl.spec.config import Config
from rtl.spec.numbers import SCORE_BITS
from rtl.spec.score_cap import MIN_CAP, PIECES, curve
from sim.harness.bench import case, cycles, from_bits, rng, start, to_bits
from sim.oracles.attention import CAPPED


class Ports(wiring.Component):
    """ScoreCap. A stream that is always ready cannot be a port of a design."""

    def __init__(self, config):
        self.config = config
        super().__init__(
            {
                "enable": In(1),
                "score": In(Score(config)),
                "valid": In(1),
                "capped": Out(Score(config)),
                "capped_valid": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.cap = cap = ScoreCap(self.config)
        m.d.comb += [
            cap.enable.eq(self.enable),
            cap.i.payload.eq(self.score),
            cap.i.valid.eq(self.valid),
            self.capped.eq(cap.o.payload),
            self.capped_valid.eq(cap.o.valid),
        ]
        return m


CAPS = {"gemma": 50.0, "least": float(MIN_CAP)}
CONFIGS = {
    name: Config(name=name, beat_bits=bits, columns=1, lanes=4, queries=2, score_cap=cap)
    for (name, cap), bits in zip(CAPS.items(), (16, 64))
}
CASES = {name: lambda config=config: Ports(config) for name, config in CONFIGS.items()}
LIMIT = 1 << SCORE_BITS - 1


def scores(numbers, cap, shape):
    """Any scores; about where pieces meet, and where the last one ends; and those of models."""
    its = curve(cap)
    nodes = numbers.integers(0, PIECES + 2, shape) << its.shift
    edges = [-LIMIT, -LIMIT + 1, LIMIT - 1, 0, 1, -1]
    kinds = [
        numbers.integers(-LIMIT, LIMIT, shape),
        numbers.choice([-1, 1], shape) * (nodes + numbers.integers(-1, 2, shape)),
        numbers.choice(edges, shape),
        numbers.normal(0, cap * 1500, shape).astype(np.int64),
    ]
    which = numbers.integers(len(kinds), size=shape)
    return np.clip(np.choose(which, kinds), -LIMIT, LIMIT - 1)


@cocotb.test()
@cocotb.parametrize(gap=[0, 0.4], enable=[0, 1])
async def matches_the_reference(dut, gap, enable):
    """Capped or as they came, each `LATENCY` cycles later with all that came beside it."""
    config, random = CONFIGS[case()], rng(f"{gap} {enable}")
    layout, numbers = Score(config), np.random.default_rng(random.getrandbits(32))
    table = scores(numbers, config.score_cap, (3000, config.queries))
    want = CAPPED.expect(table, config.score_cap)
    assert (want != table).any()
    await start(dut)
    dut.enable.value = enable
    due, sent, cycle = {}, 0, 0
    while sent < len(table) or due:
        given = sent < len(table) and random.random() >= gap
        payload = from_bits(layout, random.getrandbits(layout.size))
        if given:
            payload["scores"] = table[sent].tolist()
            result = want[sent].tolist() if enable else payload["scores"]
            due[cycle + ScoreCap.LATENCY] = {**payload, "scores": result}
            sent += 1
        dut.valid.value = given
        dut.score.value = to_bits(layout, payload)
        await FallingEdge(dut.clk)
        assert int(dut.capped_valid.value) == (cycle in due), f"cycle {cycle}"
        if cycle in due:
            got, expected = from_bits(layout, int(dut.capped.value)), due.pop(cycle)
            assert got == expected, f"score must be {expected}, not {got}"
        await cycles(dut)
        cycle += 1
