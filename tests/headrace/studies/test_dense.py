# amaranth: UnusedElaboratable=no

import numpy as np
import pytest
from amaranth.sim import Simulator

from headrace.studies.dense import BITS, SPREAD, DenseCore
from rtl.spec.config import GROUP, Config


CONFIG = Config(name="t", beat_bits=256, columns=2, lanes=2)


def steps(core, count):
    """Beats, activations, and the sums that they must give. The extremes come first."""
    gen = np.random.default_rng(1)
    for n in range(count):
        high = (1 << core.bits) - 1
        shape = core.lanes, core.summed
        codes = gen.integers(0, high + 1, shape) if n > 3 else np.full(shape, [0, high][n % 2])
        acts = (
            gen.integers(-128, 128, (2, GROUP))
            if n > 3
            else np.full((2, GROUP), [-128, 127][n // 2])
        )
        if core.format == "TERNARY":
            codes[codes == 2] = (
                1  # greater than zero, but not at least zero: no trit has these bits
            )
        beat = 0
        for r, k in np.ndindex(shape):
            code = int(codes[r, k])
            at = 32 * SPREAD[core.format] * r
            if core.format == "S8":
                beat |= code << at + 8 * k
            elif core.format == "U4":
                beat |= code << at + 8 * (k % 16) + 4 * (k // 16)
            else:
                beat |= sum(
                    (code >> plane & 1) << at + 32 * plane + k for plane in range(core.bits)
                )
        weights = {"S8": (codes ^ 128) - 128, "TERNARY": (codes & 1) + (codes >> 1) - 1}.get(
            core.format, 2 * codes - high
        )
        yield beat, acts, acts[:, : core.summed] @ weights.T


@pytest.mark.seconds(1)
@pytest.mark.parametrize("multiply", ["products", "planes"])
@pytest.mark.parametrize("fmt", BITS)
def test_sums(fmt, multiply):
    core = DenseCore(CONFIG, fmt, multiply)
    expected = list(steps(core, 40))
    seen, first = [], None

    async def feed(ctx):
        ctx.set(core.weights.valid, 1)
        ctx.set(core.acts.valid, 1)
        for beat, acts, _ in expected:
            ctx.set(core.weights.p.codes, beat)
            ctx.set(core.acts.payload, acts.tolist())
            ctx.set(core.act_sums, acts.sum(-1).tolist())
            await ctx.tick().until(core.weights.ready & core.acts.ready)
        ctx.set(core.weights.valid, 0)

    async def check(ctx):
        nonlocal first
        for cycle in range(500):
            ctx.set(core.sums.ready, cycle % 3 != 1)
            ready = ctx.get(core.sums.ready)
            _, _, valid, sums = await ctx.tick().sample(core.sums.valid, core.sums.payload)
            if valid and first is None:
                first = cycle
            if valid and ready:
                seen.append([list(column) for column in sums])

    simulator = Simulator(core)
    simulator.add_clock(1e-6)
    simulator.add_testbench(feed)
    simulator.add_testbench(check)
    simulator.run_until(600e-6)
    assert first == core.latency
    assert seen == [sums.tolist() for _, _, sums in expected]


@pytest.mark.parametrize(
    "args, error, message",
    [
        (("small", "U4", "planes"), TypeError, "Configuration must be a Config, not 'small'"),
        (
            (CONFIG, "U5", "planes"),
            ValueError,
            "Format must be one of U4, S8, U1, U2, U3, TERNARY, not 'U5'",
        ),
        (
            (CONFIG, "U4", "plane"),
            ValueError,
            "Multiplications must be 'products' or 'planes', not 'plane'",
        ),
    ],
)
def test_wrong(args, error, message):
    with pytest.raises(error, match=f"^{message}$"):
        DenseCore(*args)
