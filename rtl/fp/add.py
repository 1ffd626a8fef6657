"""fp32 adder. Multiply-add is the multiplier and this: :mod:`rtl.vector.lane`."""

from amaranth import *
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from .format import FLOAT32, SIGNIFICAND_BITS, finish, normalize, round_even, significand


__all__ = ["FpAdd"]


# A subtraction that loses a leading bit needs a guard and a rounding bit, and a sticky one below.
EXTRA = 3
SUM_BITS = 1 + SIGNIFICAND_BITS + EXTRA


class FpAdd(wiring.Component):
    """Add or subtract fp32 numbers.

    Computes :func:`sw_ref.numerics.add` of `a` and `b` or `-b`, bit for bit: round to nearest even,
    subnormal operands and results taken as zeros of the same sign, the exponent 255 of an operand
    as one more exponent, results from 2**128 on limited to `MAX`. The sum of opposites is +0.

    Latency is `LATENCY` enabled cycles; throughput is one sum per enabled cycle. The stages are: to
    order the operands, to align and add, to normalize coarsely, to normalize finely and round.

    Members
    -------
    a, b : :py:`In(32)`
        Operands, fp32.
    sub : :py:`In(1)`
        Subtract `b` from `a`.
    en : :py:`In(1)`
        The pipeline advances by one stage.
    o : :py:`Out(32)`
        Sum or difference, fp32.
    """

    LATENCY = 4

    def __init__(self):
        super().__init__({"a": In(32), "b": In(32), "sub": In(1), "en": In(1), "o": Out(32)})

    def elaborate(self, platform):
        m = Module()

        a, b = data.View(FLOAT32, self.a), data.View(FLOAT32, self.b)
        flags = data.StructLayout({"sign": 1, "subtract": 1})
        flag = [Signal(flags, name=f"flag{n}", reset_less=True) for n in (1, 2, 3)]
        # Of the larger operand; the leading bit of its significand is bit 26 of the sum's 28.
        exponent = [Signal(8, name=f"exponent{n}", reset_less=True) for n in (1, 2, 3)]

        # Order by the patterns: where subnormals should have been zeros, both operands are.
        swap = Signal()
        b_sign = Signal()
        large = Signal(SIGNIFICAND_BITS, reset_less=True)
        small = Signal(SIGNIFICAND_BITS, reset_less=True)
        shift = Signal(8, reset_less=True)
        m.d.comb += [
            swap.eq(self.a[:31] < self.b[:31]),
            b_sign.eq(b.sign ^ self.sub),
        ]
        with m.If(self.en):
            m.d.sync += [
                large.eq(Mux(swap, significand(b), significand(a))),
                small.eq(Mux(swap, significand(a), significand(b))),
                exponent[0].eq(Mux(swap, b.exponent, a.exponent)),
                shift.eq(Mux(swap, b.exponent - a.exponent, a.exponent - b.exponent)),
                flag[0].sign.eq(Mux(swap, b_sign, a.sign)),
                flag[0].subtract.eq(a.sign ^ b_sign),
            ]

        # The lowest bit stays set by whatever is shifted through it.
        aligned = Cat(C(0, EXTRA), small)
        for n in range(5):
            step = Signal(SIGNIFICAND_BITS + EXTRA, name=f"aligned_{1 << n}")
            lost = aligned[: (1 << n) + 1].any()
            m.d.comb += step.eq(Mux(shift[n], Cat(lost, aligned[(1 << n) + 1 :]), aligned))
            aligned = step
        addend = Signal(SIGNIFICAND_BITS + EXTRA)
        total = Signal(SUM_BITS, reset_less=True)
        m.d.comb += addend.eq(Mux(shift[5:].any(), small.any(), aligned))
        with m.If(self.en):
            augend = Cat(C(0, EXTRA), large)
            m.d.sync += [
                total.eq(Mux(flag[0].subtract, augend - addend, augend + addend)),
                exponent[1].eq(exponent[0]),
                flag[1].eq(flag[0]),
            ]

        coarse = Signal(SUM_BITS, reset_less=True)
        skipped = Signal(3, reset_less=True)
        shifted, skips = normalize(m, total, (16, 8, 4), "coarse")
        with m.If(self.en):
            m.d.sync += [
                coarse.eq(shifted),
                skipped.eq(skips),
                exponent[2].eq(exponent[1]),
                flag[2].eq(flag[1]),
            ]

        biased = Signal(signed(10))
        result = Signal(32, reset_less=True)
        rounded = Signal(signed(23 + 10))
        fine, skips = normalize(m, coarse, (2, 1), "fine")
        nothing = ~fine[-1]
        m.d.comb += [
            biased.eq(exponent[2] + 1 - Cat(skips, skipped)),
            rounded.eq(round_even(fine, biased)),
            self.o.eq(result),
        ]
        with m.If(self.en):
            finish(
                m,
                result,
                flag[2].sign & ~(nothing & flag[2].subtract),
                rounded,
                zero=nothing | (biased <= 0),
            )

        return m
