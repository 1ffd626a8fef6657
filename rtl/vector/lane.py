"""One fp32 lane of the vector unit."""

from amaranth import *
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ..fp.add import FpAdd
from ..fp.format import FLOAT32, MAX, normalize
from ..fp.mul import FpMul
from ..spec.isa import Func


__all__ = ["Lane"]


# What patterns are subtracted from for the guesses; the least normal number.
RECIP, RSQRT = 0x7EF311C7, 0x5F3759DF
LEAST = 0x00800000
ONE, BIAS = 0x3F800000, 127


class Lane(wiring.Component):
    """Compute :class:`~rtl.spec.isa.Func` on one element per cycle, as :mod:`sw_ref.numerics` does.

    The adder is free for :class:`~rtl.vector.reduce.Reduce` during DOT. Operands may be any
    patterns; no result has the exponent 255.

    Throughput is one element per cycle, of any function after any other; it never stalls. Latency
    is that of the multiplier and the adder, 4 + 4. What the functions from CLAMP on have in place
    of c is found in two cycles. It goes through the adder with -0, which changes no number, or with
    1 or the product.

    Members
    -------
    func : :py:`In(Func)`
        Function. Sampled with the operands.
    a, b, c : :py:`In(32)`
        Operands.
    x : :py:`In(32)`
        DOT: the adder's first operand, `FpMul.LATENCY` cycles after the others.
    y : :py:`In(32)`
        The adder's second operand, with `fold`.
    fold : :py:`In(1)`
        DOT: add `y` to `x` rather than the product a * b. Only while no elements come.
    o : :py:`Out(32)`
        Result; of DOT and with `fold`, sum of `x` of `FpAdd.LATENCY` cycles ago.
    """

    LATENCY = FpMul.LATENCY + FpAdd.LATENCY

    def __init__(self):
        super().__init__(
            {
                "func": In(Func),
                "a": In(32),
                "b": In(32),
                "c": In(32),
                "x": In(32),
                "y": In(32),
                "fold": In(1),
                "o": Out(32),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.mul = mul = FpMul()
        m.submodules.add = add = FpAdd()

        # What the adder is to do, and what it adds to, wait for the product.
        kinds = data.StructLayout({"replaced": 1, "simple": 1, "plus1": 1, "dot": 1, "sub": 1})
        kind, c = Signal(kinds), self.c
        m.d.comb += [
            kind.replaced.eq(Value.cast(self.func) >= Func.CLAMP.value),
            kind.simple.eq(kind.replaced & (self.func != Func.REST)),
            kind.plus1.eq(self.func == Func.NSCALE1),
            kind.dot.eq(self.func == Func.DOT),
            kind.sub.eq((self.func == Func.NMADD) | (self.func == Func.REST)),
        ]
        func = Signal(Func, reset_less=True)
        m.d.sync += func.eq(self.func)
        for n in range(FpMul.LATENCY):
            later = Signal(kinds, name=f"kind{n + 1}", reset_less=True)
            stage = Signal(32, name=f"c{n + 1}", reset_less=True)
            m.d.sync += [later.eq(kind), stage.eq(c)]
            if n == 1:
                with m.If(kind.replaced):
                    m.d.sync += stage.eq(self.simple_function(m, func, c))
            kind, c = later, stage

        m.d.comb += [
            mul.en.eq(1),
            mul.a.eq(self.a),
            mul.b.eq(self.b),
            add.en.eq(1),
            add.a.eq(Mux(kind.dot | self.fold, self.x, c)),
            add.b.eq(
                Mux(self.fold, self.y, Mux(kind.simple, Mux(kind.plus1, ONE, 1 << 31), mul.o))
            ),
            add.sub.eq(kind.sub & ~self.fold),
            self.o.eq(add.o),
        ]

        return m

    def simple_function(self, m, func, c):
        """What the adder gets instead of `c` for the functions from CLAMP on, in the cycle after
        that of the operands `a` and `b`; `func` and `c` are of that cycle."""
        a, b = data.View(FLOAT32, self.a), data.View(FLOAT32, self.b)
        clamp, recip, rsqrt, rest = (
            self.func == func for func in (Func.CLAMP, Func.RECIP, Func.RSQRT, Func.REST)
        )

        # The first decides what it can. Magnitudes order like their patterns; where subnormals
        # should have been zeros, the smaller magnitude is zero anyway.
        first = Signal(FLOAT32, reset_less=True)
        second = Signal(31, reset_less=True)
        exceeds = Signal(reset_less=True)
        none = Signal(reset_less=True)  # the result is zero
        full = Signal(reset_less=True)  # the result is the largest number
        m.d.sync += [
            first.eq(a),
            second.eq(self.b[:31]),
            exceeds.eq(self.a[:31] > self.b[:31]),
            none.eq(
                Mux(
                    recip,
                    self.a[:31] > RECIP - LEAST,
                    (a.exponent == 0) & ~rsqrt & ~rest | (b.exponent == 0) & clamp,
                )
            ),
            full.eq((a.exponent == 0xFF) & (b.exponent == 0xFF) & clamp),
        ]

        n = c[:10].as_signed()
        exponent = Signal(signed(12))
        magnitude = Signal(31)
        below, above = Signal(), Signal()
        result = Signal(32)
        m.d.comb += exponent.eq(first.exponent + Mux(func == Func.SCALE, n, -n))
        with m.Switch(func):
            with m.Case(Func.CLAMP):
                m.d.comb += magnitude.eq(Mux(exceeds, second, first.as_value()[:31]))
            with m.Case(Func.REST):
                m.d.comb += magnitude.eq(self.integer(m, n))
            with m.Case(Func.SCALE, Func.NSCALE, Func.NSCALE1):
                m.d.comb += [
                    magnitude.eq(Cat(first.fraction, exponent[:8])),
                    below.eq(exponent <= 0),
                    above.eq(exponent >= 0xFF),
                ]
            with m.Default():
                # One subtraction for both.
                whole = first.as_value()[:31]
                root = func == Func.RSQRT
                m.d.comb += magnitude.eq(Mux(root, RSQRT, RECIP) - Mux(root, whole[1:], whole))
        sign = Mux(func == Func.REST, n < 0, first.sign & (func != Func.RSQRT))
        m.d.comb += result.eq(Cat(magnitude, sign))
        with m.If(none | below):
            m.d.comb += result[:31].eq(0)
        with m.Elif(full | above):
            m.d.comb += result[:31].eq(MAX)
        return result

    def integer(self, m, n):
        """fp32 pattern, but for the sign, of an integer of ten bits."""
        size = Signal(range(513))
        m.d.comb += size.eq(abs(n))
        value, skips = normalize(m, Cat(C(0, 6), size), (8, 4, 2, 1), "integer")
        return Mux(size.any(), Cat(C(0, 8), value[:-1], (BIAS + 9 - skips)[:8]), 0)
