"""Conversion of integers to fp32."""

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .format import SIGNIFICAND_BITS, finish, normalize, round_even


__all__ = ["IntToFp"]


BIAS = 127


class IntToFp(wiring.Component):
    """Convert integers to fp32, times a power of two.

    The integer is rounded to nearest even, as :py:`numpy.float32(i)` is, and then multiplied by
    2**exponent. That is exact, but for results below 2**-126, which are zeros of the same sign, and
    of 2**128 or more, which are limited to `MAX`.

    Latency is `LATENCY` enabled cycles; throughput is one number per enabled cycle. The stages are:
    to take the magnitude, to normalize coarsely, to normalize finely and round.

    Parameters
    ----------
    width : :class:`int`
        Bits of the integer, with its sign: from 2 to 64.

    Members
    -------
    i : :py:`In(signed(width))`
        Integer.
    exponent : :py:`In(signed(11))`
        Power of two. Sampled with `i`.
    en : :py:`In(1)`
        The pipeline advances by one stage.
    o : :py:`Out(32)`
        Number, fp32. 0 gives +0.
    """

    LATENCY = 3

    def __init__(self, width):
        if not isinstance(width, int) or not 2 <= width <= 64:
            raise ValueError(f"Width must be an integer from 2 to 64, not {width!r}")
        self.width = width
        super().__init__(
            {"i": In(signed(width)), "exponent": In(signed(11)), "en": In(1), "o": Out(32)}
        )

    def elaborate(self, platform):
        m = Module()

        # Wide enough for a rounding bit and one below it.
        width = max(self.width, SIGNIFICAND_BITS + 2)
        shifts = [1 << n for n in reversed(range((width - 1).bit_length()))]

        magnitude = Signal(width, reset_less=True)
        coarse = Signal(width, reset_less=True)
        skipped = Signal(len(shifts) - 2, reset_less=True)
        exponent = [Signal(signed(11), name=f"exponent{n}", reset_less=True) for n in (1, 2)]
        sign = [Signal(name=f"sign{n}", reset_less=True) for n in (1, 2)]

        # The integer ends up at the top, where an exponent of `BIAS + self.width - 1` belongs.
        shifted, skips = normalize(m, magnitude, shifts[:-2], "coarse")
        with m.If(self.en):
            m.d.sync += [
                magnitude.eq(abs(self.i)[: self.width] << width - self.width),
                exponent[0].eq(self.exponent),
                sign[0].eq(self.i < 0),
                coarse.eq(shifted),
                skipped.eq(skips),
                exponent[1].eq(exponent[0]),
                sign[1].eq(sign[0]),
            ]

        biased = Signal(signed(12))
        result = Signal(32, reset_less=True)
        rounded = Signal(signed(23 + 12))
        fine, skips = normalize(m, coarse, shifts[-2:], "fine")
        m.d.comb += [
            biased.eq(exponent[1] + (BIAS + self.width - 1) - Cat(skips, skipped)),
            rounded.eq(round_even(fine, biased)),
            self.o.eq(result),
        ]
        with m.If(self.en):
            finish(m, result, sign[1], rounded, zero=~fine[-1] | (rounded[23:].as_signed() <= 0))

        return m
