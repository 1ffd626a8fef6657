"""Scores from chunks of dot products."""

import cocotb
import numpy as np
from amaranth import *
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from cocotb.triggers import FallingEdge

from rtl.attention.products import sum_latency
from rtl.attention.scores import Score, Scorer
from rtl.attention.tag import Tag
from rtl.spec.config import Config, get
from sim.harness.bench import case, cycles, from_bits, rng, start, to_bits
from sim.oracles.attention import SCORES


class Ports(wiring.Component):
    """Scorer. A stream that is always ready cannot be a port of a design."""

    def __init__(self, config):
        self.config = config
        scorer = Scorer(config)
        sums = scorer.signature.members["sums"]
        super().__init__(
            {
                "tag": In(Tag(config)),
                "key_exponent": In(8),
                "value_exponent": In(8),
                "query_exponents": In(data.ArrayLayout(8, config.queries)),
                "sums": In(data.ArrayLayout(sums.shape, config.queries)),
                "score": Out(Score(config)),
                "valid": Out(1),
            }
        )
        self.scorer = scorer

    def elaborate(self, platform):
        m = Module()
        m.submodules.scorer = scorer = self.scorer
        m.d.comb += [
            scorer.tag.eq(self.tag),
            scorer.key_exponent.eq(self.key_exponent),
            scorer.value_exponent.eq(self.value_exponent),
            self.score.eq(scorer.o.payload),
            self.valid.eq(scorer.o.valid),
        ]
        for q in range(self.config.queries):
            m.d.comb += [
                scorer.query_exponents[q].eq(self.query_exponents[q]),
                scorer.sums[q].eq(self.sums[q]),
            ]
        return m


CONFIGS = {
    "small": get("small"),  # four beats per key
    "wide": get("wide"),  # one
    "eight": Config(name="eight", beat_bits=64, columns=1, lanes=4, queries=2, head_dim=128),
    "two": Config(name="two", beat_bits=16, columns=1, lanes=2, queries=1),
    "long": Config(name="long", beat_bits=128, columns=1, lanes=4, queries=1, head_dim=256),
}
CASES = {name: lambda config=config: Ports(config) for name, config in CONFIGS.items()}
LATENCY = 4  # from the last sums
INPUTS = ("tag", "key_exponent", "value_exponent", "query_exponents")


class Key:
    """A key, the queries that it meets, and what is to come of it."""

    def __init__(self, config, numbers):
        def elements(bits, *shape):
            limit = (1 << bits - 1) - 1
            match numbers.integers(4):
                case 0:
                    return numbers.choice([-limit - 1, limit], shape)
                case 1:
                    return np.full(shape, -limit - 1)
                case 2:
                    return numbers.integers(-1, 2, shape)
                case _:
                    return numbers.integers(-limit - 1, limit + 1, shape)

        self.config = config
        self.q = elements(16, config.queries, config.head_dim)
        self.k = elements(8, 1, config.head_dim)
        # The shift is 264 less their sum: any; about none; or as in a language model.
        self.k_exponent = int(numbers.choice([0, 255, 132, numbers.integers(256), 128]))
        centre = numbers.choice([numbers.integers(256), 264 - self.k_exponent, 127])
        spread = numbers.choice([0, 3, 45])
        self.q_exponent = np.clip(
            centre + numbers.integers(-spread, spread + 1, config.queries), 0, 255
        )
        self.v_exponent = int(numbers.integers(256))
        self.flags = {name: int(numbers.integers(2)) for name in ("open", "close", "first", "last")}

    def beats(self):
        """Tag, and sums, of each beat."""
        chunks = self.config.head_dim // self.config.beat_bytes
        for n, (q, k) in enumerate(zip(np.split(self.q, chunks, 1), np.split(self.k, chunks, 1))):
            yield (
                {
                    "key": 1,
                    "value": 0,
                    "chunk": n,
                    "start": int(n == 0),
                    "end": int(n == chunks - 1),
                    **self.flags,
                },
                (q @ k[0]).tolist(),
            )

    def expected(self):
        scores = SCORES.expect(self.q, self.q_exponent, self.k, np.array([self.k_exponent]))
        return {"scores": scores[:, 0].tolist(), "exponent": self.v_exponent, **self.flags}


@cocotb.test()
@cocotb.parametrize(gap=[0, 0.4])
async def matches_the_reference(dut, gap):
    """Keys, one beat after the other or with values and nothing in between."""
    design, random = CASES[case()](), rng(gap)
    config, numbers = design.config, np.random.default_rng(random.getrandbits(32))
    layouts = {name: design.signature.members[name].shape for name in (*INPUTS, "sums", "score")}
    depth = sum_latency(config)
    await start(dut)

    # By cycle: values of the ports, the sums, and the score that is due.
    inputs, sums, due = [], {}, {}
    for _ in range(600):
        key = Key(config, numbers)
        for tag, totals in key.beats():
            while random.random() < gap:
                noise = from_bits(layouts["tag"], random.getrandbits(len(dut.tag)))
                inputs.append({"tag": {**noise, "key": 0, "chunk": 0}})
            sums[len(inputs) + depth] = totals
            inputs.append(
                {
                    "tag": tag,
                    "key_exponent": key.k_exponent,
                    "value_exponent": key.v_exponent,
                    "query_exponents": key.q_exponent.tolist(),
                }
            )
        due[len(inputs) - 1 + depth + LATENCY] = key.expected()

    for cycle in range(len(inputs) + depth + LATENCY + 5):
        now = inputs[cycle] if cycle < len(inputs) else {"tag": 0}
        if cycle in sums:
            now["sums"] = sums[cycle]
        for name in (*INPUTS, "sums"):
            port = getattr(dut, name)
            port.value = (
                to_bits(layouts[name], now[name]) if name in now else random.getrandbits(len(port))
            )
        await FallingEdge(dut.clk)
        assert int(dut.valid.value) == (cycle in due), f"cycle {cycle}"
        if cycle in due:
            got = from_bits(layouts["score"], int(dut.score.value))
            assert got == due[cycle], f"score must be {due[cycle]}, not {got}"
        await cycles(dut)
