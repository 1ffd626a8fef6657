"""Bench of the group scaler."""

import cocotb
import numpy as np
from amaranth import signed
from amaranth.lib import data

from rtl.config import get
from rtl.isa import WeightFormat
from rtl.linear.group_scale import ACC_BITS, GroupScaler, GroupStep

from ..bench import Sink, Source, case, rng, start
from ._matrix import ODD, generator


CONFIGS = {"small": get("small"), "odd": ODD}
CASES = {name: lambda config=config: GroupScaler(config) for name, config in CONFIGS.items()}


def tile(config, gen, steps, extreme):
    """Steps of a tile and its sums. `extreme`: None, or the sign of the largest magnitudes."""
    def draw(low, high, *shape):
        return gen.integers(low, high, shape) if extreme is None else \
            np.full(shape, high - 1 if extreme > 0 else low)

    payloads, acc = [], np.zeros((config.columns, config.rows), np.int64)
    for n in range(steps):
        fmt = WeightFormat(int(gen.integers(2)))
        sums = draw(-2**18, 2**18 + 1, config.columns, config.rows)
        scale = np.abs(draw(-255, 256, config.rows))
        centre = np.abs(draw(-127, 128, config.rows)) if extreme else draw(-128, 128, config.rows)
        act_sums = draw(-4096, 4065, config.columns)
        shift = draw(-1, 16, config.columns) if extreme is None else np.full(config.columns, 15)
        centre_shift = int(gen.integers(8)) if extreme is None else 7
        payloads.append({
            "sums": sums.tolist(), "scale": scale.tolist(), "centre": centre.tolist(),
            "act_sums": act_sums.tolist(), "shift": shift.tolist(), "format": fmt.value,
            "centre_shift": centre_shift, "first": int(n == 0), "last": int(n == steps - 1)})
        term = sums * scale
        if fmt == WeightFormat.U4:
            term += (centre << centre_shift) * act_sums[:, None]
        acc += np.where(shift < 0, 0, term.T << np.maximum(shift, 0)).T
    return payloads, acc.tolist()


@cocotb.test()
async def random_stalls(dut):
    config = CONFIGS[case()]
    sums = data.ArrayLayout(data.ArrayLayout(signed(ACC_BITS), config.rows), config.columns)
    await start(dut)
    for gap, stall in [(0, 0), (0.5, 0), (0, 0.9), (0.3, 0.5)]:
        gen = generator(rng(f"{gap} {stall}"))
        tiles = [tile(config, gen, steps, extreme)
                 for steps, extreme in [(1, None), (1, None), (1, 1), (2, None), (64, 1), (64, -1),
                                        (1, None), (7, None), (2, -1), (1, None)]]
        sink = Sink(dut, "o", sums, stall=stall)
        cocotb.start_soon(Source(dut, "i", GroupStep(config), gap=gap)
                          .send_all([step for payloads, _ in tiles for step in payloads]))
        await sink.expect_all([acc for _, acc in tiles])
        await sink.expect_none()


@cocotb.test()
async def one_step_per_cycle(dut):
    config = CONFIGS[case()]
    payloads, _ = tile(config, generator(rng()), 2, None)
    await start(dut)
    dut.o__ready.value = 1
    cocotb.start_soon(Source(dut, "i", GroupStep(config), gap=0).send_all(payloads * 20))
    for _ in range(40):
        await cocotb.triggers.FallingEdge(dut.clk)
        assert dut.i__ready.value == 1
