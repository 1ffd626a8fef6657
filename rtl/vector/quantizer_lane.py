"""Quantization of one value by its group's exponent."""

from amaranth import *
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out


__all__ = ["KEPT", "QuantizerLane"]


# What is left of fp32: 16 bits of the significand. Nothing below half of the finest step counts,
# as halves are rounded away from zero.
KEPT = data.StructLayout({"fraction": 15, "exponent": 8, "sign": 1})


class QuantizerLane(wiring.Component):
    """Quantize one value, as :func:`sw_ref.numerics.quantize` does.

    Latency is `LATENCY` enabled cycles; throughput is one value per enabled cycle. The stages are:
    to find the shift, to shift, to round.

    Members
    -------
    i : :py:`In(KEPT)`
        Upper 24 bits of an fp32 value.
    exponent : :py:`In(8)`
        Biased exponent of the group's largest magnitude. Sampled with `i`.
    wide : :py:`In(1)`
        The integer has 16 rather than 8 bits. Sampled with `i`.
    en : :py:`In(1)`
        The pipeline advances by one stage.
    o : :py:`Out(signed(16))`
        Integer.
    """

    LATENCY = 3

    def __init__(self):
        super().__init__(
            {"i": In(KEPT), "exponent": In(8), "wide": In(1), "en": In(1), "o": Out(signed(16))}
        )

    def elaborate(self, platform):
        m = Module()

        sign = [Signal(name=f"sign{n}", reset_less=True) for n in (1, 2)]
        wide = [Signal(name=f"wide{n}", reset_less=True) for n in (1, 2)]

        # As a fixed-point number in which the group's largest has its leading one in bit 15, the
        # significand is twice the 16-bit integer; eight bits less are twice the 8-bit one.
        full = Signal(16, reset_less=True)
        shift = Signal(9, reset_less=True)
        twice = Signal(16, reset_less=True)
        with m.If(self.en):
            m.d.sync += [
                full.eq(Mux(self.i.exponent == 0, 0, Cat(self.i.fraction, 1))),
                shift.eq(self.exponent + Mux(self.wide, 0, 8) - self.i.exponent),
                twice.eq(Mux(shift[4:].any(), 0, full >> shift[:4])),
                Cat(sign).eq(Cat(self.i.sign, sign)),
                Cat(wide).eq(Cat(self.wide, wide)),
            ]

        rounded = Signal(16)
        magnitude = Signal(15)
        result = Signal(signed(16), reset_less=True)
        m.d.comb += [
            rounded.eq((twice + 1) >> 1),
            magnitude.eq(rounded),
            self.o.eq(result),
        ]
        with m.If(wide[1] & rounded[15]):
            m.d.comb += magnitude.eq(0x7FFF)
        with m.Elif(~wide[1] & rounded[7]):
            m.d.comb += magnitude.eq(0x7F)
        with m.If(self.en):
            m.d.sync += result.eq(Mux(sign[1], -magnitude, magnitude))

        return m
