"""Bench of the DSP chain core."""

from dataclasses import replace
from itertools import product

import cocotb
import numpy as np
from amaranth import signed
from amaranth.lib import data
from cocotb.triggers import FallingEdge, RisingEdge

from rtl.spec.config import GROUP, get
from rtl.cores.core import SUM_BITS
from rtl.cores.dsp import DSP48E2, ECP5
from rtl.cores.dspchain import DspChainCore
from rtl.cores.slots import CHAIN_WEIGHTS
from rtl.spec.isa import WeightFormat
from rtl.spec.sparse import INDEX_BITS, MODES, SLOTS, Mode

from ...harness.bench import Sink, Source, case, rng, start
from ...oracles.linear import PRODUCTS
from ..linear._matrix import generator


SMALL, WIDE = get("small-dspchain"), get("wide-dspchain")
CONFIGS = {
    "small": SMALL,
    "odd": replace(SMALL, beat_bits=256, columns=3),
    "wide": replace(WIDE, columns=2),
    "dense": replace(SMALL, beat_bits=256, formats=("U4", "S8")),
    "two_of_four": replace(SMALL, beat_bits=256, patterns=("2:4",), formats=("S8", "SPARSE4")),
    "single": replace(SMALL, patterns=("2:16", "8:16"), formats=("U4", "S8", "SPARSE8")),
    "dsp48e2": replace(SMALL, beat_bits=256, columns=2),
}
PACKINGS = {"dsp48e2": DSP48E2}


def core(name):
    return DspChainCore(CONFIGS[name], PACKINGS.get(name, ECP5))


CASES = {name: lambda name=name: core(name) for name in CONFIGS}


def kinds(config):
    """Formats, with the modes of those that are sparse."""
    modes = [Mode.DENSE, *(MODES[pattern] for pattern in config.patterns)]
    return [(fmt, mode) for fmt in (WeightFormat[name] for name in config.formats)
            for mode in (modes if fmt.name.startswith("SPARSE") else [Mode.ZERO])]


def draw(gen, low, high, shape, edge):
    """Integers up to `high`, all of them extremes with the probability `edge`, or each for itself."""
    value = gen.choice([low, high], shape[:-1] + (1,)) if gen.random() < edge else \
        np.where(gen.random(shape) < 0.2, gen.choice([low, high], shape), gen.integers(low, high + 1, shape))
    return np.broadcast_to(value, shape)


def pack(fields, bits):
    """Fields of lanes (lanes, count), low ones first, as the bits of a beat."""
    total = 0
    for lane, values in enumerate(fields.tolist()):
        for n, value in enumerate(values):
            total |= (value & (1 << bits) - 1) << 128 * lane + bits * n
    return total


def dense(fmt, lanes, gen, edge):
    """A dense step: the bits of its codes, and its integers (row, element)."""
    if fmt == WeightFormat.S8:
        codes = draw(gen, -128, 127, (lanes, 16), edge)
        return pack(codes, 8), codes
    low, high = (0, 15) if fmt == WeightFormat.U4 else (-1, 1)
    codes = draw(gen, low, high, (lanes, GROUP), edge)
    # Byte k is element k low, 16 + k high.
    nibbles = codes.reshape(lanes, 2, 16).swapaxes(1, 2).reshape(lanes, GROUP)
    return pack(nibbles, 4), 2 * codes - 15 if fmt == WeightFormat.U4 else codes


def sparse(fmt, mode, lanes, gen, edge):
    """A code beat: the bits of its codes and index, and its integers (row, element), rows of all
    lanes after each other."""
    bits, count = (4, 32) if fmt == WeightFormat.SPARSE4 else (8, 16)
    codes = draw(gen, -1 << bits - 1, (1 << bits - 1) - 1, (lanes, count), edge)
    index = draw(gen, 0, (1 << INDEX_BITS[mode]) - 1, (lanes, count), edge)
    slot = np.broadcast_to(np.arange(count) % SLOTS[mode], (lanes, count))
    element = {Mode.DENSE: slot, Mode.PAIRS: 4 * (slot // 2) + index}.get(mode, index)
    weights = np.zeros((lanes, count // SLOTS[mode], 16), np.int64)
    lane, row = np.arange(lanes)[:, None], np.arange(count) // SLOTS[mode]
    np.add.at(weights, (lane, row, element), codes)     # more than one slot may name an element
    return pack(codes, bits), pack(index, INDEX_BITS[mode]), weights.swapaxes(0, 1).reshape(-1, 16)


def step(config, gen, fmt, mode, edge=0.3):
    """Operands, and the sums (column, row) of each payload, of the rows that it has."""
    acts = draw(gen, -128, 127, (config.columns, GROUP), edge)
    if fmt.name.startswith("SPARSE"):
        codes, index, integers = sparse(fmt, mode, config.rows, gen, edge)
    else:
        codes, integers = dense(fmt, config.rows, gen, edge)
        index = gen.integers(1 << 62)
    sums = PRODUCTS.expect(integers, acts[:, :integers.shape[1]])
    payloads = np.split(sums, range(4 * config.rows, sums.shape[1], 4 * config.rows), 1)
    weights = {"codes": codes, "format": fmt.value}
    if config.sparse:
        weights |= {"index": int(index), "mode": mode.value}
    return weights, acts.tolist(), [part.tolist() for part in payloads]


def bench(dut, stall=0.0, gaps=(0.0, 0.0)):
    """Sources and sink of the core."""
    config = CONFIGS[case()]
    acts = data.ArrayLayout(data.ArrayLayout(signed(8), GROUP), config.columns)
    sums = data.ArrayLayout(data.ArrayLayout(signed(SUM_BITS), core(case()).lanes), config.columns)
    return (Source(dut, "weights", CHAIN_WEIGHTS(config), gap=gaps[0]),
            Source(dut, "acts", acts, gap=gaps[1]), Sink(dut, "sums", sums, stall=stall))


async def check(dut, kinds, steps, **adversity):
    weights, acts, sink = bench(dut, **adversity)
    cocotb.start_soon(weights.send_all([s[0] for s in steps]))
    cocotb.start_soon(acts.send_all([s[1] for s in steps]))
    for kind, (_, _, payloads) in zip(kinds, steps, strict=True):
        assert len(payloads) == core(case()).outputs(*kind), kind
        for n, expected in enumerate(payloads):
            got = [column[:len(expected[0])] for column in await sink.receive()]
            assert got == expected, f"{kind}, payload {n}: must be {expected}, not {got}"
    await sink.expect_none()


@cocotb.test()
async def random_stalls(dut):
    """Every kind of step after every other one, and then in any order."""
    config = CONFIGS[case()]
    order = [kind for pair in product(kinds(config), repeat=2) for kind in pair]
    await start(dut)
    for stall, gaps in [(0, (0, 0)), (0, (0.5, 0)), (0.3, (0, 0.5)), (0.6, (0.3, 0.3))]:
        gen = generator(rng(f"{gaps} {stall}"))
        await check(dut, order, [step(config, gen, *kind) for kind in order], stall=stall, gaps=gaps)
        order = [kinds(config)[n] for n in gen.integers(len(kinds(config)), size=100)]


@cocotb.test()
async def extremes(dut):
    """All codes and activations at one end or the other."""
    config, gen = CONFIGS[case()], generator(rng())
    await start(dut)
    order = [kind for kind in kinds(config) for _ in range(12)]
    await check(dut, order, [step(config, gen, *kind, edge=1) for kind in order])


@cocotb.test()
async def latency_and_throughput(dut):
    """Sums come `latency` cycles after their operands; a step takes as many cycles as it has passes."""
    config, gen = CONFIGS[case()], generator(rng())
    await start(dut)
    dut.sums__ready.value = 1
    for kind in kinds(config):
        unit, count = core(case()), 10
        steps = [step(config, gen, *kind) for _ in range(count)]
        weights, acts, _ = bench(dut)
        dut.sums__ready.value = 1
        cocotb.start_soon(weights.send_all([s[0] for s in steps]))
        cocotb.start_soon(acts.send_all([s[1] for s in steps]))
        seen = []
        passes = unit.passes(*kind)
        for _ in range(unit.latency + count * passes + 3):
            await FallingEdge(dut.clk)
            seen.append(int(dut.sums__valid.value))
        # The last of the passes that make up a payload completes it.
        each = passes // unit.outputs(*kind)
        assert seen == [0] * unit.latency + ([0] * (each - 1) + [1]) * (count * passes // each) + [0] * 3, \
            (kind, seen)
        await RisingEdge(dut.clk)
