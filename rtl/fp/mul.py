"""fp32 multiplier. Multiply-add is this and the adder: :mod:`rtl.vector.lane`."""

from amaranth import *
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from .format import FLOAT32, SIGNIFICAND_BITS, finish, round_even, significand


__all__ = ["FpMul"]


BIAS = 127
HALF_BITS = SIGNIFICAND_BITS // 2


class FpMul(wiring.Component):
    """Multiply fp32 numbers.

    Computes :func:`sw_ref.numerics.product`, bit for bit: round to nearest even, subnormal operands
    taken as zeros of the same sign, results below 2**-126 before rounding flushed likewise, the
    exponent 255 of an operand taken as one more exponent, results from 2**128 on limited to `MAX`.

    Latency is `LATENCY` enabled cycles; throughput is one product per enabled cycle. The 24 by 24
    bit multiplier is four of 12 by 12, with registers on both sides that DSP blocks absorb; their
    sum takes a cycle of its own, since the blocks of some FPGAs are narrower than 24 bits.

    Members
    -------
    a, b : :py:`In(32)`
        Factors, fp32.
    en : :py:`In(1)`
        The pipeline advances by one stage.
    o : :py:`Out(32)`
        Product, fp32.
    """

    LATENCY = 4

    def __init__(self):
        super().__init__({"a": In(32), "b": In(32), "en": In(1), "o": Out(32)})

    def elaborate(self, platform):
        m = Module()

        a, b = data.View(FLOAT32, self.a), data.View(FLOAT32, self.b)
        flags = data.StructLayout({"sign": 1, "zero": 1})

        factors = [Signal(SIGNIFICAND_BITS, name=f"factor_{x}", reset_less=True) for x in "ab"]
        exponent = [Signal(signed(10), name=f"exponent{n}", reset_less=True) for n in (1, 2, 3)]
        flag = [Signal(flags, name=f"flag{n}", reset_less=True) for n in (1, 2, 3)]
        parts = [
            [Signal(2 * HALF_BITS, name=f"part{i}{j}", reset_less=True) for j in (0, 1)]
            for i in (0, 1)
        ]
        product = Signal(2 * SIGNIFICAND_BITS, reset_less=True)

        with m.If(self.en):
            m.d.sync += [
                factors[0].eq(significand(a)),
                factors[1].eq(significand(b)),
                exponent[0].eq(a.exponent + b.exponent - BIAS),
                flag[0].sign.eq(a.sign ^ b.sign),
                flag[0].zero.eq((a.exponent == 0) | (b.exponent == 0)),
                product.eq(
                    Cat(parts[0][0], parts[1][1]) + ((parts[0][1] + parts[1][0]) << HALF_BITS)
                ),
            ]
            for i in (0, 1):
                m.d.sync += [
                    exponent[i + 1].eq(exponent[i]),
                    flag[i + 1].eq(flag[i]),
                ]
                for j in (0, 1):
                    m.d.sync += parts[i][j].eq(
                        factors[0].word_select(i, HALF_BITS) * factors[1].word_select(j, HALF_BITS)
                    )

        # The product of significands in [1, 2) is in [1, 4).
        top = product[-1]
        normalized = Signal(2 * SIGNIFICAND_BITS)
        biased = Signal(signed(10))
        result = Signal(32, reset_less=True)
        rounded = Signal(signed(23 + 10))
        m.d.comb += [
            normalized.eq(Mux(top, product, product << 1)),
            biased.eq(exponent[2] + top),
            rounded.eq(round_even(normalized, biased)),
            self.o.eq(result),
        ]
        with m.If(self.en):
            finish(m, result, flag[2].sign, rounded, zero=flag[2].zero | (biased <= 0))

        return m
