"""Scores: from partial dot products to the log2 domain."""

from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ..bus.delay import delayed
from ..spec.numbers import SCORE_BITS
from .products import KEY_PRODUCT_BITS, sum_latency
from .tag import Tag


__all__ = ["Score", "Scorer"]


MAX_LEFT = 24  # A dot product other than 0 saturates when shifted left by more.
BIAS = 264  # 2 * 127 + 14 + 6 - 10: see sw_ref.attention


def Score(config):
    """Scores of one position, 10 bits of fraction, and the biased exponent of its value."""
    return data.StructLayout(
        {
            "scores": data.ArrayLayout(signed(SCORE_BITS), config.queries),
            "exponent": 8,
            "open": 1,  # first position of a block
            "close": 1,  # last position of a block
            "first": 1,  # first block of a head
            "last": 1,  # last block of a head
        }
    )


class Scorer(wiring.Component):
    """Add the chunks of a key's dot products, shift by the exponents, and saturate.

    Computes :func:`sw_ref.attention.scores`, bit for bit. Throughput is one beat per cycle, without
    stalls. Latency, from the last beat's `sums` to `o`, is four cycles.

    Parameters
    ----------
    config : :class:`~rtl.spec.config.Config`
        Its `queries`, `head_dim` and `beat_bits` are used.

    Members
    -------
    tag : :py:`In(Tag(config))`
        What the beat is that enters :class:`ProductArray` now.
    key_exponent, value_exponent : :py:`In(8)`
        Biased exponents of its position.
    query_exponents : :py:`In(8).array(queries)`
        Biased exponents of the queries that it meets.
    sums : :py:`In(signed(24 + log2(beat_bytes))).array(queries)`
        Sums that leave the products now.
    o : :py:`Out(stream.Signature(Score(config), always_ready=True))`
        Scores.
    """

    def __init__(self, config):
        self.config = config
        sum_bits = KEY_PRODUCT_BITS + (config.beat_bytes - 1).bit_length()
        super().__init__(
            {
                "tag": In(Tag(config)),
                "key_exponent": In(8),
                "value_exponent": In(8),
                "query_exponents": In(8).array(config.queries),
                "sums": In(signed(sum_bits)).array(config.queries),
                "o": Out(stream.Signature(Score(config), always_ready=True)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        depth = sum_latency(self.config)
        dot_bits = KEY_PRODUCT_BITS + (self.config.head_dim - 1).bit_length()

        key = delayed(m, self.tag.key, depth)
        start = delayed(m, self.tag.start, depth, reset_less=True)
        score_valid = delayed(m, self.tag.key & self.tag.end, depth + 4)
        about = delayed(
            m,
            Cat(self.value_exponent, self.tag.open, self.tag.close, self.tag.first, self.tag.last),
            depth + 4,
            reset_less=True,
        )
        m.d.comb += [
            self.o.valid.eq(score_valid),
            Cat(self.o.p.exponent, self.o.p.open, self.o.p.close, self.o.p.first, self.o.p.last).eq(
                about
            ),
        ]

        for q in range(self.config.queries):
            # Right shift of the dot product that was shifted left as far as it may ever be.
            amount = Signal(signed(11), name=f"amount{q}")
            limited = Signal(6, name=f"limited{q}", reset_less=True)
            m.d.comb += amount.eq(BIAS + MAX_LEFT - self.query_exponents[q] - self.key_exponent)
            m.d.sync += limited.eq(Mux(amount < 0, 0, Mux(amount > 63, 63, amount)))
            shift = delayed(m, limited, depth, reset_less=True)
            fine_shift = delayed(m, shift[:3], 1, reset_less=True)

            dot = Signal(signed(dot_bits), name=f"dot{q}", reset_less=True)
            wide = Signal(signed(dot_bits + MAX_LEFT), name=f"wide{q}")
            coarse = Signal.like(wide, name=f"coarse{q}", reset_less=True)
            fine = Signal.like(wide, name=f"fine{q}", reset_less=True)
            score = Signal(signed(SCORE_BITS), name=f"score{q}", reset_less=True)
            with m.If(key):
                m.d.sync += dot.eq(Mux(start, 0, dot) + self.sums[q])
            m.d.comb += wide.eq(Cat(C(0, MAX_LEFT), dot).as_signed())
            m.d.sync += [
                coarse.eq(wide >> Cat(C(0, 3), shift[3:])),
                fine.eq(coarse >> fine_shift),
                score.eq(fine),
            ]
            limit = 1 << SCORE_BITS - 1
            with m.If(fine > limit - 1):
                m.d.sync += score.eq(limit - 1)
            with m.Elif(fine < -limit):
                m.d.sync += score.eq(-limit)
            m.d.comb += self.o.p.scores[q].eq(score)

        return m
