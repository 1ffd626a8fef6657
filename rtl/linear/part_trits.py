"""Decoding of ternary weights, for cores that work on some elements of each row in a cycle."""

from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ..spec.config import Config
from ..spec.isa import WeightFormat
from ..spec.limits import GROUP_BITS
from ..spec.payloads import WeightStep
from .trits import TRITS


__all__ = ["TritPart", "PartTrits"]


BYTES = 4  # of trits, of half a row


def TritPart(config):
    """A decoded part of a TERNARY step: codes as a core takes them."""
    return data.StructLayout(
        {
            "codes": config.beat_bits,
            "group": GROUP_BITS,
            "first": 1,
            "last": 1,
            "sub": 1,
            "part": range(config.parts),
        }
    )


class PartTrits(wiring.Component):
    """Decode TERNARY, five trits a byte, part by part.

    The digits of a byte are taken off as in :class:`~.trits.TritDecoder`, but only of the bytes of
    a part at a time. So are the fifth digits of four words kept, in a ring of parts: they are the
    codes of the step that no word is for.

    To a core that takes them, parts are planes of both rows of a step; to others nibbles in two's
    complement, all parts of one row after those of the other.

    Latency is four cycles, throughput one part per cycle. Backpressure is respected.

    Parameters
    ----------
    config : :class:`~rtl.spec.config.Config`
        Accelerator, whose words have several beats.
    native : set of :class:`~rtl.spec.isa.WeightFormat`
        Formats that the core takes.

    Members
    -------
    i : :py:`In(stream.Signature(WeightStep(config)))`
        Steps as they are packed; in those that are `spare`, `codes` does not matter.
    o : :py:`Out(stream.Signature(TritPart(config)))`
        Parts.
    busy : :py:`Out(1)`
        Holds a part, those on offer included.
    """

    def __init__(self, config, native):
        if not isinstance(config, Config):
            raise TypeError(f"Configuration must be a Config, not {config!r}")
        self.config = config
        self.planes = WeightFormat.TERNARY in native
        # A byte has four elements: where a part has two of each half, it is decoded for two parts.
        self.own = config.elements // 2
        self.size = max(self.own // TRITS, 1)
        super().__init__(
            {
                "i": In(stream.Signature(WeightStep(config))),
                "o": Out(stream.Signature(TritPart(config))),
                "busy": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        move, valid = Signal(), Signal(TRITS)
        inner = Signal(range(self.size * TRITS // self.own))  # part of the bytes in front
        ends = inner == self.size * TRITS // self.own - 1
        m.d.comb += [
            move.eq(~self.o.valid | self.o.ready & ends),
            self.o.valid.eq(valid[-1]),
            self.busy.eq(valid.any()),
        ]
        with m.If(move):
            m.d.sync += valid.eq(Cat(self.i.valid, valid))
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += inner.eq(inner + 1)

        # Of the step in front: the row, unless both are decoded at once, and the place in it.
        place, row = Signal(range(BYTES // self.size)), Signal(0 if self.planes else 1)
        m.d.comb += self.i.ready.eq(move & Cat(place, row).all())
        with m.If(move & self.i.valid):
            m.d.sync += Cat(place, row).eq(Cat(place, row) + 1)

        about = data.StructLayout(
            {
                "group": GROUP_BITS,
                "first": 1,
                "last": 1,
                "spare": 1,
                "row": len(row),
                "place": len(place),
            }
        )
        tag = Signal(about)
        m.d.comb += [tag[name].eq(self.i.p[name]) for name in ("group", "first", "last", "spare")]
        m.d.comb += [tag.row.eq(row), tag.place.eq(place)]
        rest = self._bytes(row, place)
        # Of each byte, (weight >= 0) and (weight > 0) of the trits that are decoded, a bit a trit.
        low, high = ([Const(0, 0)] * len(rest) for _ in range(2))
        for stage in range(TRITS):
            held = Signal(about, name=f"about_{stage}", reset_less=True)
            with m.If(move):
                m.d.sync += held.eq(tag)
            tag = held
            digits = [digit(byte) for byte in rest]
            rest, low, high = (
                self._held(m, move, f"{name}_{stage}", values)
                for name, values in (
                    ("rest", [left for _, left in digits]),
                    ("low", [Cat(bits, one.any()) for bits, (one, _) in zip(low, digits)]),
                    ("high", [Cat(bits, one[1]) for bits, (one, _) in zip(high, digits)]),
                )
            )

        kept = self._kept(m, move & valid[-1], rest)
        codes = [
            [Mux(tag.spare, ring[n], own[n]) for n in range(len(rest))]
            for ring, own in zip(kept, (low, high))
        ]
        m.d.comb += [
            self.o.p.codes.eq(self._codes(*codes, inner)),
            self.o.p.sub.eq(tag.row),
            self.o.p.part.eq(Cat(inner, tag.place)),
        ]
        m.d.comb += [self.o.p[name].eq(tag[name]) for name in ("group", "first", "last")]

        return m

    def _held(self, m, move, name, values):
        """Registers of a stage."""
        later = [Signal(len(v), name=f"{name}_{n}", reset_less=True) for n, v in enumerate(values)]
        with m.If(move):
            m.d.sync += [a.eq(b) for a, b in zip(later, values)]
        return later

    def _bytes(self, row, place):
        """Bytes of trits of a place: of each row some of the lower half, and of the upper."""
        words = self.i.p.codes
        rows = [words.word_select(n, 64) for n in range(2)]
        if not self.planes:
            rows = [Mux(row, rows[1], rows[0])]
        pieces = [
            half.word_select(place, 8 * self.size) for own in rows for half in (own[:32], own[32:])
        ]
        return [piece.word_select(n, 8) for piece in pieces for n in range(self.size)]

    def _kept(self, m, give, rest):
        """Fifth digits of the place's bytes in the four words before, as bits of two planes."""
        width = 2 * TRITS * len(rest)
        depth = BYTES // self.size * (1 if self.planes else 2)
        ring = [Signal(width, name=f"kept_{n}", reset_less=True) for n in range(depth)]
        oldest, new, kept = ring[-1], [], ([], [])
        for n, byte in enumerate(rest):
            one, _ = digit(byte)
            for plane, bit in enumerate((one.any(), one[1])):
                bits = oldest.word_select(2 * n + plane, TRITS)
                kept[plane].append(bits)
                new += [bits[1:], bit]
        with m.If(give):
            m.d.sync += [Cat(ring).eq(Cat(*new, *ring[:-1]))]
        return kept

    def _codes(self, low, high, inner):
        """Codes of a part from the planes of its bytes."""
        rows = []
        for n in range(0, len(low), 2 * self.size):
            planes = [
                Cat(
                    Cat(plane[first : first + self.size]).word_select(inner, self.own)
                    for first in (n, n + self.size)
                )
                for plane in (low, high)
            ]
            rows.append(Cat(planes) if self.planes else nibbles(*planes))
        return Cat(rows)


def digit(rest):
    """Next digit of a byte, and the byte that is left."""
    triple = (rest + (rest << 1))[:10]
    return triple[8:], triple[:8]


def nibbles(low, high):
    """Elements as nibbles, from their planes: zero has one bit of two, and becomes 0000."""
    half = len(low) // 2
    order = [k for pair in zip(range(half), range(half, 2 * half)) for k in pair]
    return Cat(Cat(low[k] == high[k], (~low[k]).replicate(3)) for k in order)
