# amaranth: UnusedElaboratable=no

import numpy as np
import pytest
from amaranth.sim import Simulator

from headrace.studies.ternary_lookup import KINDS, TernaryRows


@pytest.mark.parametrize("kind", KINDS)
def test_sums(kind):
    component, gen = TernaryRows(kind, 2), np.random.default_rng(3)

    async def check(ctx):
        for n in range(8):
            weights = gen.integers(-1, 2, (2, 32)) if n > 3 else np.full((2, 32), 2 * (n % 2) - 1)
            acts = gen.integers(-128, 128, 32) if n > 3 else np.full(32, [-128, 127][n // 2])
            for port, act in zip(component.acts, acts.tolist()):
                ctx.set(port, act)
            for port, row in zip(component.weights, weights.tolist()):
                ctx.set(port, component.pack(row))
            await ctx.tick().repeat(14)
            assert [ctx.get(port) for port in component.sums] == (weights @ acts).tolist()

    simulator = Simulator(component)
    simulator.add_clock(1e-6)
    simulator.add_testbench(check)
    simulator.run()


def test_kind_wrong():
    with pytest.raises(
        ValueError,
        match=r"^Kind must be one of planes2, planes4, groups3, direct, "
        r"not 'planes3'$",
    ):
        TernaryRows("planes3", 4)
