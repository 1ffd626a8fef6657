"""Bench of the group scaler, with the shapes of sums that each linear core gives."""

import cocotb
import numpy as np
from amaranth import signed
from amaranth.lib import data

from rtl.linear.group_scale import GroupScaler, GroupStep
from rtl.linear.slices import fifth_rows, payload_slices
from rtl.spec.config import Config, get
from rtl.spec.formats import FORMATS, ROW_SCALED, SPARSE
from rtl.spec.isa import WeightFormat
from rtl.spec.limits import ACC_BITS
from rtl.spec.numbers import GROUP

from ...harness.bench import Sink, Source, case, rng, start
from ...oracles.linear import GROUP_SUMS
from ._matrix import ODD, generator


DENSE = {WeightFormat.U4, WeightFormat.S8}
LUT = get("small-lut").native

FILES = "U4", "S8", "U5", "S6", "FP4"
BOOKS = "U1", "S8", "FP4_16"

# Configuration, and the formats that its core takes whole.
CONFIGS = {
    "small": (get("small"), DENSE),
    "odd": (ODD, DENSE),
    "plain": (Config(name="plain", beat_bits=128, columns=2, lanes=4, formats=("U4", "S8")), DENSE),
    "ternary": (
        Config(name="ternary", beat_bits=128, columns=1, lanes=4, formats=("S8", "TERNARY")),
        DENSE,
    ),
    "lut": (Config(name="lut", beat_bits=256, columns=3, lanes=8, core="lut"), LUT),
    "two-bit": (
        Config(
            name="two-bit",
            beat_bits=128,
            columns=2,
            lanes=4,
            core="lut",
            formats=("U2", "S8", "TERNARY"),
        ),
        LUT,
    ),
    "files": (
        Config(name="files", beat_bits=128, columns=2, lanes=4, formats=FILES),
        {WeightFormat[name] for name in FILES},
    ),
    "books": (
        Config(name="books", beat_bits=256, columns=1, lanes=4, formats=BOOKS, core="lut"),
        {WeightFormat[name] for name in BOOKS},
    ),
    "dspchain": (
        Config(name="dspchain", beat_bits=256, columns=3, lanes=8, core="dspchain"),
        DENSE | SPARSE,
    ),
}
CASES = {name: lambda what=what: GroupScaler(*what) for name, what in CONFIGS.items()}


def payloads_of(gen, fmt, native):
    """(first slice, slices) of the payloads of a step: as many slices as a tile has."""
    most, count = payload_slices(fmt, native), FORMATS[fmt].tile_slices
    size = int(gen.choice([1, 2, 4])) if fmt in SPARSE & native else most
    return [(at, size) for at in range(0, count, size)]


def tile(config, native, gen, fmt, steps, extreme):
    """Payloads of a tile, and its sums by slice, column and row. `extreme`: None, or the sign of
    the largest magnitudes."""

    def draw(low, high, *shape):
        return (
            gen.integers(low, high, shape)
            if extreme is None
            else np.full(shape, high - 1 if extreme > 0 else low)
        )

    n, lanes = config.rows, GroupStep(config, native)["sums"].shape.elem_shape.length
    payloads, accs = [], np.zeros((FORMATS[fmt].tile_slices, config.columns, n), np.int64)
    for step in range(steps):
        act_sums = draw(-4096, 4065, config.columns)
        shift = draw(-1, 16, config.columns) if extreme is None else np.full(config.columns, 15)
        centre_shift = int(gen.integers(8)) if extreme is None else 7
        for at, size in payloads_of(gen, fmt, native):
            # Lanes that have no sums have something.
            sums = draw(-(2**18), 2**18 + 1, config.columns, lanes)
            scale = draw(-128, 128, config.scaled_rows)
            if not FORMATS[fmt].signed_scale:
                scale = np.abs(draw(-255, 256, config.scaled_rows))
            centre = (
                np.abs(draw(-127, 128, config.scaled_rows))
                if extreme
                else draw(-128, 128, config.scaled_rows)
            )
            if fmt in ROW_SCALED:
                scale[:] = 1
            halved, upper = FORMATS[fmt].group < GROUP, np.zeros((config.columns, n), int)
            if halved:
                upper = draw(-(2**16), 2**16 + 1, config.columns, n)
                sums[:, n : 2 * n] = upper
                centre = draw(-128, 128, config.scaled_rows)
                if not FORMATS[fmt].signed_scale:
                    centre = np.abs(draw(-255, 256, config.scaled_rows))
            elif not FORMATS[fmt].centred:
                centre[:] = 0
            payloads.append(
                {
                    "sums": sums.tolist(),
                    "scale": scale.tolist(),
                    "centre": centre.tolist(),
                    "halved": int(halved),
                    "act_sums": act_sums.tolist(),
                    "shift": shift.tolist(),
                    "centre_shift": centre_shift,
                    "slice": at,
                    "span": size.bit_length() - 1,
                    "first": int(step == 0),
                    "last": int(step == steps - 1),
                }
            )
            rows, fifth = slice(size * n), 0
            if config.aside:
                width = fifth_rows(config, native)
                parts = draw(-(2**10), 2**10, config.columns, width)
                left = draw(-1, 16, config.columns) if FORMATS[fmt].aside else shift * 0 - 1
                payloads[-1] |= {"fifth": parts.tolist(), "fifth_shift": left.tolist()}
                parts = np.resize(parts.T, (size * n, config.columns)).T
                if FORMATS[fmt].aside:
                    one = np.ones(size * n, int)
                    fifth = GROUP_SUMS.expect(parts, act_sums, one, 0 * one, left)
            scales, centres = (
                (1, 0) if fmt in ROW_SCALED else (scale[rows], centre[rows] << centre_shift)
            )
            scales, centres = (np.broadcast_to(x, size * n) for x in (scales, centres))
            if halved:  # the second scale is in the centre's place
                zero = np.zeros(n, int)
                terms = GROUP_SUMS.expect(upper, act_sums, centre[:n], zero, shift)
                terms = terms + GROUP_SUMS.expect(
                    sums[:, :n] - upper, act_sums, scales, zero, shift
                )
            else:
                terms = GROUP_SUMS.expect(sums[:, rows], act_sums, scales, centres, shift)
            terms = terms + fifth
            accs[at : at + size] += terms.reshape(config.columns, size, n).swapaxes(0, 1)
    return payloads, accs.tolist()


@cocotb.test()
async def random_stalls(dut):
    config, native = CONFIGS[case()]
    formats = config.weight_formats
    sums = data.ArrayLayout(data.ArrayLayout(signed(ACC_BITS), config.rows), config.columns)
    await start(dut)
    for gap, stall in [(0, 0), (0.5, 0), (0, 0.9), (0.3, 0.5)]:
        gen = generator(rng(f"{gap} {stall}"))
        tiles = [
            tile(config, native, gen, formats[int(gen.integers(len(formats)))], steps, extreme)
            for steps, extreme in [
                (1, None),
                (1, None),
                (1, 1),
                (2, None),
                (7, None),
                (1, None),
                (1, None),
                (7, None),
                (2, -1),
                (1, None),
            ]
            * 2
        ]
        tiles += [tile(config, native, gen, WeightFormat.S8, 64, sign) for sign in (1, -1)]
        tiles += [tile(config, native, gen, fmt, 3, None) for fmt in formats]
        sink = Sink(dut, "o", sums, stall=stall)
        cocotb.start_soon(
            Source(dut, "i", GroupStep(config, native), gap=gap).send_all(
                [step for payloads, _ in tiles for step in payloads]
            )
        )
        await sink.expect_all([acc for _, accs in tiles for acc in accs])
        await sink.expect_none()


@cocotb.test()
async def one_step_per_cycle(dut):
    """As long as slices are finished no faster than they leave."""
    config, native = CONFIGS[case()]
    await start(dut)
    dut.o__ready.value = 1
    for name in config.formats:
        payloads, _ = tile(config, native, generator(rng(name)), WeightFormat[name], 4, None)
        sending = cocotb.start_soon(
            Source(dut, "i", GroupStep(config, native), gap=0).send_all(payloads * 5)
        )
        for _ in range(5 * len(payloads)):
            await cocotb.triggers.FallingEdge(dut.clk)
            assert dut.i__ready.value == 1, name
        await sending
