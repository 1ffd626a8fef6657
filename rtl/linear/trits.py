"""Decoding of ternary weights."""

from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ..spec.config import Config


__all__ = ["TritStep", "TritDecoder"]


TRITS = (
    4  # of a byte, that belong to its own step; one more belongs to the step that no beat is for
)


def TritStep(config):
    """A TERNARY step: bytes of trits, or, decoded, two planes per row."""
    return data.StructLayout({"codes": config.word_bits, "group": 10, "first": 1, "last": 1})


class TritDecoder(wiring.Component):
    """Decode TERNARY, five trits a byte, to steps of a trit in two bits.

    A byte is a fraction in base 3: times three, the bits above the byte are its next digit, and the
    byte that is left holds the others (:mod:`rtl.spec.formats`; BitNet's runtimes decode so too). A
    stage of the pipeline takes a digit off. The fifth digits of four beats are kept, and are the
    codes of the step that no beat is for.

    Latency is :attr:`latency` cycles, throughput one step per cycle. Backpressure is respected.

    Parameters
    ----------
    config : :class:`~rtl.spec.config.Config`
        Accelerator.

    Attributes
    ----------
    latency : :class:`int`
        Cycles from a step to its codes.

    Members
    -------
    i : :py:`In(stream.Signature(data.StructLayout({"step": TritStep(config), "spare": 1})))`
        Steps as they are packed. `spare`: fifth of its run, `codes` does not matter.
    o : :py:`Out(stream.Signature(TritStep(config)))`
        Steps. A row is 64 bits: (weight >= 0) of its 32 elements, then (weight > 0).
    busy : :py:`Out(1)`
        Holds a step, those on offer included.
    """

    def __init__(self, config):
        if not isinstance(config, Config):
            raise TypeError(f"Configuration must be a Config, not {config!r}")
        self.config = config
        self.latency = TRITS
        super().__init__(
            {
                "i": In(
                    stream.Signature(data.StructLayout({"step": TritStep(config), "spare": 1}))
                ),
                "o": Out(stream.Signature(TritStep(config))),
                "busy": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        size = self.config.word_bytes

        move, valid = Signal(), Signal(TRITS)
        m.d.comb += [
            move.eq(~self.o.valid | self.o.ready),
            self.i.ready.eq(move),
            self.o.valid.eq(valid[-1]),
            self.busy.eq(valid.any()),
        ]
        with m.If(move):
            m.d.sync += valid.eq(Cat(self.i.valid, valid))

        step, spare = self.i.p.step, self.i.p.spare
        rest = [step.codes[8 * n : 8 * n + 8] for n in range(size)]
        # Of each byte, (weight >= 0) and (weight > 0) of the trits that are decoded, a bit a trit.
        low, high = [Const(0, 0)] * size, [Const(0, 0)] * size
        for stage in range(TRITS):
            held = Signal(
                data.StructLayout(
                    {
                        "rest": data.ArrayLayout(8, size),
                        "low": data.ArrayLayout(stage + 1, size),
                        "high": data.ArrayLayout(stage + 1, size),
                        "group": 10,
                        "first": 1,
                        "last": 1,
                        "spare": 1,
                    }
                ),
                name=f"held_{stage}",
                reset_less=True,
            )
            with m.If(move):
                for n in range(size):
                    digit, left = self._digit(rest[n])
                    m.d.sync += [
                        held.rest[n].eq(left),
                        held.low[n].eq(Cat(low[n], digit.any())),
                        held.high[n].eq(Cat(high[n], digit[1])),
                    ]
                m.d.sync += [held[name].eq(step[name]) for name in ("group", "first", "last")]
                m.d.sync += held.spare.eq(spare)
            step, spare, rest, low, high = held, held.spare, held.rest, held.low, held.high

        # Four trits of each byte and the fifth ones of four bytes lie in the same places.
        kept = [
            [Signal(TRITS, name=f"kept_{n}_{plane}", reset_less=True) for plane in range(2)]
            for n in range(size)
        ]
        codes = []
        for row in range(size // 8):
            for plane, own in enumerate((low, high)):
                codes += [Mux(spare, kept[n][plane], own[n]) for n in range(8 * row, 8 * row + 8)]
        m.d.comb += self.o.p.codes.eq(Cat(codes))
        m.d.comb += [self.o.p[name].eq(step[name]) for name in ("group", "first", "last")]
        with m.If(move & valid[-1] & ~spare):
            for n in range(size):
                digit, _ = self._digit(rest[n])
                m.d.sync += kept[n][0].eq(Cat(kept[n][0][1:], digit.any()))
                m.d.sync += kept[n][1].eq(Cat(kept[n][1][1:], digit[1]))

        return m

    def _digit(self, rest):
        """Next digit of a byte, and the byte that is left."""
        triple = (rest + (rest << 1))[:10]
        return triple[8:], triple[:8]
