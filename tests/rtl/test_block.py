# amaranth: UnusedElaboratable=no
"""Steps of nibbles, put together again from what a core and the scaler get of them.

`sim/benches/linear/unpack.py` tries gaps and stalls.
"""

import numpy as np
import pytest
from amaranth.back import rtlil
from amaranth.sim import Simulator

from rtl.linear.block import BlockWalker
from rtl.linear.nibbles import NIBBLES, NibbleDecoder
from rtl.spec.config import Config
from rtl.spec.formats import FORMATS
from rtl.spec.formats.fp4 import FP4
from rtl.spec.formats.s6 import S6
from rtl.spec.formats.u5 import U5
from rtl.spec.isa import WeightFormat
from rtl.spec.numbers import GROUP


FILES = [WeightFormat[name] for name in ("U4", *NIBBLES)]
GROUPS, SHIFT = 5, 3  # no multiple of a scale run, nor of a run of high bits


def config(beat_bits):
    formats = ("S8", *(fmt.name for fmt in FILES))
    return Config(name="files", beat_bits=beat_bits, columns=1, lanes=4, formats=formats)


def matrix(its, rows):
    """Codes, each of which is there, scales and centres."""
    rng = np.random.default_rng(3)
    codes = rng.choice(its.every_code, (rows, GROUPS * GROUP))
    codes.flat[: len(its.every_code)] = its.every_code
    scale = rng.integers(0, 256, (rows, GROUPS * GROUP // its.group)).astype(np.uint8)
    centre = rng.integers(-128, 128, (rows, GROUPS)).astype(np.int8)
    return codes, scale.view(its.scale_dtype), centre


def walked(its, config, parts):
    """Integers (rows, K) of the steps that hardware makes of a packed block of rows."""
    rows, beat_bytes = config.block_rows, config.beat_bytes
    packed = its.pack(*parts, np.zeros(rows, np.float32), beat_bytes)
    beats = np.frombuffer(packed, np.uint8).reshape(-1, beat_bytes)[1:]
    walker, steps = BlockWalker(config), []

    async def feed(ctx):
        ctx.set(walker.format, its.fmt)
        ctx.set(walker.last_group, GROUPS - 1)
        ctx.set(walker.start, 1)
        await ctx.tick()
        ctx.set(walker.start, 0)
        ctx.set(walker.o.ready, 1)
        ctx.set(walker.beats.valid, 1)
        at = 0
        while not (steps and steps[-1]["end"]):
            ctx.set(walker.beats.payload, int.from_bytes(beats[at].tobytes(), "little"))
            if ctx.get(walker.o.valid):
                step = ctx.get(walker.o.payload)
                steps.append({name: step[name] for name in ("codes", "high", "end", "half")})
                for name in "scale", "centre":
                    steps[-1][name] = list(ctx.get(getattr(walker.o.p, name)))
            at += ctx.get(walker.beats.ready)
            await ctx.tick()

    simulator = Simulator(walker)
    simulator.add_clock(1e-6)
    simulator.add_testbench(feed)
    simulator.run()
    return put_together(its, config, steps)


def put_together(its, config, steps):
    """Integers of steps: weights as cores read them, times scales, plus centres."""
    n, whole = config.rows, []
    for step in steps:
        codes = np.frombuffer(step["codes"].to_bytes(config.beat_bytes, "little"), np.uint8)
        codes = codes.reshape(n, 16)
        if its.step_format == WeightFormat.S8:
            values = codes.view(np.int8).astype(int)
        else:
            values = np.concatenate([codes & 15, codes >> 4], 1).astype(int)
            high = step["high"] >> 2 * np.arange(n * GROUP, dtype=object) & 3
            values += high.astype(int).reshape(n, GROUP) << 4
            values = 2 * values - 15 if its.name == "U4" else (values ^ 32) - 32
        scale, second = (np.array(step[name][:n])[:, None] for name in ("scale", "centre"))
        if its.group < GROUP:
            scale, second = np.repeat(np.concatenate([scale, second], 1), its.group, 1), 0
        whole.append(values * scale + (second << SHIFT))
    tiles = np.stack(whole).reshape(config.block_rows // n, -1, n, whole[0].shape[1])
    return tiles.swapaxes(1, 2).reshape(config.block_rows, -1)


def check(its, config, right=None):
    parts = matrix(its, config.block_rows)
    wanted = (right or its).integers(*parts, SHIFT, int)
    np.testing.assert_array_equal(walked(its, config, parts), wanted)


@pytest.mark.seconds(3)
@pytest.mark.parametrize("beat_bits", [128, 512])
@pytest.mark.parametrize("fmt", FILES, ids=lambda fmt: fmt.name)
def test_integers(fmt, beat_bits):
    check(FORMATS[fmt], config(beat_bits))


class WrongEntry(FP4):
    """12 is 11."""

    book = tuple(11 if value == 12 else value for value in FP4.book)


class LostBit(U5):
    """The fifth bits of a row's second byte are those of its first."""

    def high_bytes(self, codes):
        high = super().high_bytes(codes).copy()
        high[..., 1] = high[..., 0]
        return high


class Swapped(S6):
    """The upper half's scale comes first."""

    parts = ("upper", "scale")


@pytest.mark.parametrize("wrong", [WrongEntry, LostBit, Swapped])
def test_a_wrong_format_is_found(wrong, monkeypatch):
    """In hardware, and in what is packed for it."""
    right = FORMATS[WeightFormat[wrong.__mro__[1].__name__]]
    monkeypatch.setitem(FORMATS, right.fmt, wrong(right.fmt))
    with pytest.raises(AssertionError, match="Arrays are not equal"):
        check(FORMATS[right.fmt], config(128), right)


def test_config_wrong():
    with pytest.raises(TypeError, match=r"^Configuration must be a Config, not 'small'$"):
        NibbleDecoder("small")


def test_only_what_is_used_is_decoded():
    """Codes of bytes and of U4 pass: wires, not a cell."""
    plain = NibbleDecoder(
        Config(name="u4", beat_bits=128, columns=1, lanes=4, formats=("U4", "S8"))
    )
    text = rtlil.convert(plain, emit_src=False)
    assert not plain.step_high.shape().width and "cell " not in text
