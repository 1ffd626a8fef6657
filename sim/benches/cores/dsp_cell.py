"""Bench of DSP packing: two products in one multiplier, for every pair of weights."""

from functools import partial

import cocotb
import numpy as np
from amaranth import *
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from cocotb.triggers import FallingEdge

from rtl.cores.dsp import DSP48E2, ECP5, DspGroup

from ...harness.bench import case, from_bits, start, to_bits
from ...oracles.linear import PRODUCTS


# What the group's other multiplier does, as (low, high, act): extremes, by sign of the products.
OTHERS = [(low, high, act) for low in (-1, 1) for high in (-1, 1) for act in (-128, 127)]
ACTS = [-128, -127, -1, 0, 1, 85, 126, 127]


class Cells(wiring.Component):
    """Groups with the same weights and every pair of :data:`ACTS` and :data:`OTHERS`."""

    def __init__(self, packing):
        self.packing = packing
        weight = signed(packing.weight_bits)
        sums = data.ArrayLayout(signed(packing.weight_bits + 9), 2)
        super().__init__(
            {
                "low": In(weight),
                "high": In(weight),
                "sums": Out(data.ArrayLayout(sums, len(ACTS) * len(OTHERS))),
            }
        )

    def elaborate(self, platform):
        m = Module()
        top = (1 << self.packing.weight_bits - 1) - 1
        for n, act in enumerate(ACTS):
            for k, (low, high, other) in enumerate(OTHERS):
                m.submodules += (group := DspGroup(self.packing.operand_bits))
                m.d.comb += [
                    group.operands[0].eq(self.packing.operand(self.low, self.high)),
                    group.operands[1].eq(
                        self.packing.operand(
                            C(top * low, self.low.shape()), C(top * high, self.low.shape())
                        )
                    ),
                    group.acts[0].eq(act),
                    group.acts[1].eq(other),
                ]
                m.d.comb += [
                    self.sums[n * len(OTHERS) + k][half].eq(part)
                    for half, part in enumerate(self.packing.split(group.total))
                ]
        return m


CASES = {packing.name: partial(Cells, packing) for packing in (ECP5, DSP48E2)}


@cocotb.test()
async def every_pair_of_weights(dut):
    cells = CASES[case()]()
    top = (1 << cells.packing.weight_bits - 1) - 1
    # Of 8-bit weights, those around the ends and zero: all pairs would take minutes.
    weights = [w for w in range(-top, top + 1) if top < 16 or min(w + top, abs(w), top - w) < 12]
    shape, layout = cells.low.shape(), cells.sums.shape()
    pairs = [(low, high) for low in weights for high in weights]
    # The sums of a cell have one product of each multiplier: rows are (pair, other, half).
    rows = [
        [(low, top * signs[0]), (high, top * signs[1])] for low, high in pairs for signs in OTHERS
    ]
    sums = PRODUCTS.expect(
        np.array(rows).reshape(-1, 2),
        np.array([(act, signs[2]) for act in ACTS for signs in OTHERS]),
    )
    sums = sums.reshape(len(ACTS), len(OTHERS), len(pairs), len(OTHERS), 2)
    sums = sums.diagonal(axis1=1, axis2=3).transpose(1, 0, 3, 2)  # (pair, act, other, half)
    await start(dut)
    for n in range(len(pairs) + DspGroup.LATENCY):
        await FallingEdge(dut.clk)
        if n >= DspGroup.LATENCY:
            low, high = pairs[n - DspGroup.LATENCY]
            expected = sums[n - DspGroup.LATENCY].reshape(-1, 2).tolist()
            got = from_bits(layout, int(dut.sums.value))
            assert got == expected, (low, high, got, expected)
        low, high = pairs[min(n, len(pairs) - 1)]
        dut.low.value, dut.high.value = to_bits(shape, low), to_bits(shape, high)
