"""One fp32 lane of the vector unit."""

from amaranth import *
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ..fp.add import FpAdd
from ..fp.format import FLOAT32, MAX
from ..fp.mul import FpMul
from ..spec.isa import Func


__all__ = ["Lane"]


# What patterns are subtracted from for the guesses; the least normal number.
RECIP, RSQRT = 0x7EF311C7, 0x5F3759DF
LEAST = 0x00800000


class Lane(wiring.Component):
    """Compute :class:`~rtl.spec.isa.Func` on one element per cycle, as :mod:`sw_ref.numerics` does.

    The adder is free for :class:`~rtl.vector.reduce.Reduce` during DOT. Operands may be any
    patterns; no result has the exponent 255.

    Throughput is one element per cycle; it never stalls. Latency is 2 cycles to `simple`, and to
    `sum` that of the multiplier and the adder, 4 + 4 (`SUM_LATENCY`).

    Members
    -------
    func : :py:`In(Func)`
        Function. Constant from an element's first cycle to its last.
    a, b, c : :py:`In(32)`
        Operands.
    x : :py:`In(32)`
        DOT: the adder's first operand.
    y : :py:`In(32)`
        DOT: the adder's second operand, with `fold`.
    fold : :py:`In(1)`
        Add `y` to `x` rather than the product a * b. Only with DOT.
    simple : :py:`Out(32)`
        Result of the functions from CLAMP on.
    sum : :py:`Out(32)`
        Result of MADD and NMADD; sum of `x` of `FpAdd.LATENCY` cycles ago.
    """

    SIMPLE_LATENCY = 2
    SUM_LATENCY = FpMul.LATENCY + FpAdd.LATENCY

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
                "simple": Out(32),
                "sum": Out(32),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.mul = mul = FpMul()
        m.submodules.add = add = FpAdd()

        # `c` waits for the product. The first of its registers also feeds the simple functions.
        delayed = [self.c]
        for n in range(FpMul.LATENCY):
            stage = Signal(32, name=f"c{n + 1}", reset_less=True)
            m.d.sync += stage.eq(delayed[-1])
            delayed.append(stage)

        # From the multiplier on, the function has been there for cycles.
        is_dot, sub = Signal(reset_less=True), Signal(reset_less=True)
        m.d.sync += [is_dot.eq(self.func == Func.DOT), sub.eq(self.func == Func.NMADD)]
        m.d.comb += [
            mul.en.eq(1),
            mul.a.eq(self.a),
            mul.b.eq(self.b),
            add.en.eq(1),
            add.a.eq(Mux(is_dot, self.x, delayed[-1])),
            add.b.eq(Mux(self.fold, self.y, mul.o)),
            add.sub.eq(sub),
            self.sum.eq(add.o),
        ]

        self.simple_functions(m, delayed[1])
        return m

    def simple_functions(self, m, c):
        """CLAMP, SCALE, NSCALE, RECIP and RSQRT, in two cycles; `c` is of the second."""
        a, b = data.View(FLOAT32, self.a), data.View(FLOAT32, self.b)
        clamp, recip, rsqrt = (self.func == func for func in (Func.CLAMP, Func.RECIP, Func.RSQRT))

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
                    (a.exponent == 0) & ~rsqrt | (b.exponent == 0) & clamp,
                )
            ),
            full.eq((a.exponent == 0xFF) & (b.exponent == 0xFF) & clamp),
        ]

        n = c[:10].as_signed()
        exponent = Signal(signed(12))
        magnitude = Signal(31)
        below, above = Signal(), Signal()
        simple = Signal(32, reset_less=True)
        m.d.comb += [
            exponent.eq(first.exponent + Mux(self.func == Func.NSCALE, -n, n)),
            self.simple.eq(simple),
        ]
        with m.Switch(self.func):
            with m.Case(Func.CLAMP):
                m.d.comb += magnitude.eq(Mux(exceeds, second, first.as_value()[:31]))
            with m.Case(Func.SCALE, Func.NSCALE):
                m.d.comb += [
                    magnitude.eq(Cat(first.fraction, exponent[:8])),
                    below.eq(exponent <= 0),
                    above.eq(exponent >= 0xFF),
                ]
            with m.Default():
                # One subtraction for both.
                whole = first.as_value()[:31]
                m.d.comb += magnitude.eq(Mux(rsqrt, RSQRT, RECIP) - Mux(rsqrt, whole[1:], whole))
        m.d.sync += simple.eq(Cat(magnitude, first.sign & ~rsqrt))
        with m.If(none | below):
            m.d.sync += simple[:31].eq(0)
        with m.Elif(full | above):
            m.d.sync += simple[:31].eq(MAX)
