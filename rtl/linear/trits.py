"""Decoding of ternary weights."""

from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ..spec.config import Config
from ..spec.limits import GROUP_BITS
from ..spec.payloads import fifth_step


__all__ = ["TRITS", "TritStep", "DecodedStep", "TritDecoder"]


TRITS = 4  # of a byte, that belong to its own step; one more belongs to the fifth step of its run


def TritStep(config):
    """A TERNARY step: bytes of trits, or, decoded, two planes per row."""
    return data.StructLayout(
        {
            "codes": config.word_bits,
            "group": GROUP_BITS,
            "first": 1,
            "last": 1,
            **fifth_step(config),
        }
    )


def DecodedStep(config):
    """A decoded step, and the trits of the fifth step that came with it."""
    return data.StructLayout({**TritStep(config).members, "trits": config.word_bits // 4})


class TritDecoder(wiring.Component):
    """Decode TERNARY, five trits a byte, to steps of a trit in two bits.

    A byte is a fraction in base 3: times three, the bits above the byte are its next digit, and the
    byte that is left holds the others (:mod:`rtl.spec.formats`; BitNet's runtimes decode so too). A
    stage of the pipeline takes a digit off. The digits that are left after four are a part of the
    fifth step. Steps that come in parts are for :class:`~.part_trits.PartTrits`.

    Latency is :attr:`latency` cycles, throughput one step per cycle. Backpressure is respected.

    Parameters
    ----------
    config : :class:`~rtl.spec.config.Config`
        Accelerator, whose formats have TERNARY.

    Attributes
    ----------
    latency : :class:`int`
        Cycles from a step to its codes.

    Members
    -------
    i : :py:`In(stream.Signature(TritStep(config)))`
        Steps as they are packed.
    o : :py:`Out(stream.Signature(DecodedStep(config)))`
        Steps. A row is 64 bits: (weight >= 0) of its 32 elements, then (weight > 0). `trits`: see
        :class:`~rtl.spec.payloads.WeightStep`.
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
                "i": In(stream.Signature(TritStep(config))),
                "o": Out(stream.Signature(DecodedStep(config))),
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

        about = {name: shape for name, shape in self.i.p.shape().members.items() if name != "codes"}
        step = self.i.p
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
                        **about,
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
                m.d.sync += [held[name].eq(step[name]) for name in about]
            step, rest, low, high = held, held.rest, held.low, held.high

        fifth = [self._digit(rest[n])[0] for n in range(size)]
        codes, trits = [], []
        for row in range(0, size, 8):
            codes += [plane[n] for plane in (low, high) for n in range(row, row + 8)]
            trits += [digit.any() for digit in fifth[row : row + 8]]
            trits += [digit[1] for digit in fifth[row : row + 8]]
        m.d.comb += [self.o.p.codes.eq(Cat(codes)), self.o.p.trits.eq(Cat(trits))]
        m.d.comb += [self.o.p[name].eq(step[name]) for name in about]

        return m

    def _digit(self, rest):
        """Next digit of a byte, and the byte that is left."""
        triple = (rest + (rest << 1))[:10]
        return triple[8:], triple[:8]
