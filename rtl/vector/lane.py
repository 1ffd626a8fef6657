"""One fp32 lane of the vector unit."""

from amaranth import *
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from ..fp.add import FpAdd
from ..fp.format import FLOAT32, INFINITY, QUIET_NAN
from ..fp.mul import FpMul
from ..isa import Func


__all__ = ["Lane"]


class Lane(wiring.Component):
    """Compute :class:`~rtl.isa.Func` on one element per cycle, as :mod:`sw_ref.numerics` does.

    The adder is free for :class:`~rtl.vector.reduce.Reduce` during DOT. A clamp of or to something
    that is not a number is not a number.

    Throughput is one element per cycle; it never stalls. Latency is 2 cycles to `simple`, that of
    the multiplier and the adder (`SUM_LATENCY`) to `sum`.

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
        super().__init__({
            "func": In(Func), "a": In(32), "b": In(32), "c": In(32),
            "x": In(32), "y": In(32), "fold": In(1),
            "simple": Out(32), "sum": Out(32),
        })

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

        # The simple functions have two cycles: what decides over the result is found out in the first.
        a = Signal(FLOAT32, reset_less=True)
        simple = Signal(FLOAT32, reset_less=True)
        m.d.sync += a.as_value().eq(self.a)
        m.d.comb += self.simple.eq(simple)
        clamped, scaled = Signal(FLOAT32), Signal(FLOAT32)
        self.clamp(m, clamped)
        self.scale(m, scaled, a, delayed[1])

        with m.Switch(self.func):
            with m.Case(Func.CLAMP):
                m.d.sync += simple.eq(clamped)
            with m.Case(Func.SCALE, Func.NSCALE):
                m.d.sync += simple.eq(scaled)
            with m.Case(Func.RECIP):
                m.d.sync += simple.as_value().eq(0x7EF311C7 - a.as_value())
            with m.Default():
                m.d.sync += simple.as_value().eq(0x5F3759DF - (a.as_value().as_signed() >> 1))

        return m

    def clamp(self, m, o):
        """Limit operand `a` to [-abs(b), abs(b)]."""
        # With subnormals flushed, magnitudes order like their patterns.
        magnitudes, compared = [], []
        for name in "ab":
            operand = data.View(FLOAT32, getattr(self, name))
            compared.append(Mux(operand.exponent == 0, 0, operand.as_value()[:31]))
            magnitudes.append(Signal(31, name=f"magnitude_{name}", reset_less=True))
        exceeds, invalid, sign = (Signal(name=name, reset_less=True) for name in ("exceeds", "invalid", "sign"))
        m.d.sync += [
            *(magnitude.eq(value) for magnitude, value in zip(magnitudes, compared)),
            exceeds.eq(compared[0] > compared[1]),
            invalid.eq((compared[0] > INFINITY) | (compared[1] > INFINITY)),
            sign.eq(self.a[31]),
        ]
        m.d.comb += o.as_value().eq(Cat(Mux(exceeds, magnitudes[1], magnitudes[0]), sign))
        with m.If(invalid):
            m.d.comb += o.as_value().eq(QUIET_NAN)

    def scale(self, m, o, a, c):
        """Add the integer in the low bits of `c` to the exponent of `a`, or subtract it."""
        n = c[:10].as_signed()
        exponent = Signal(signed(12))
        m.d.comb += [
            exponent.eq(a.exponent + Mux(self.func == Func.NSCALE, -n, n)),
            o.sign.eq(a.sign),
        ]
        with m.If(a.exponent == 0xff):
            m.d.comb += o.eq(a)
        with m.Elif((a.exponent != 0) & (exponent >= 0xff)):
            m.d.comb += o.exponent.eq(0xff)
        with m.Elif((a.exponent != 0) & (exponent > 0)):
            m.d.comb += [o.exponent.eq(exponent), o.fraction.eq(a.fraction)]
