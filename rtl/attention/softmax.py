"""Online softmax: running maxima, and the weights of values."""

from functools import partial

from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from ..bus.delay import delayed
from ..spec.numbers import FRACTION, KV_BLOCK
from .scores import Score


__all__ = ["EXP2", "MAX_RESCALE", "Weights", "Rescale", "Softmax"]


MAX_RESCALE = 40  # Right shifts by more leave what this leaves of 40 bits: the sign.

# 2**(i / 1024), 15 fraction bits.
EXP2 = [round(2 ** (i / (1 << FRACTION) + 15)) for i in range(1 << FRACTION)]


def Weights(config):
    """Weights of a position, per query: shares of the denominator, and factors of its values."""
    return data.StructLayout(
        {
            "shares": data.ArrayLayout(16, config.queries),
            "factors": data.ArrayLayout(16, config.queries),
        }
    )


def Rescale(config):
    """What a block does to the accumulators before it adds to them, per query.

    `numerator` and `denominator` are right shifts, without meaning in the first block of a head;
    `exponent` is the numerators' exponent less the denominator's, from then on.
    """
    return data.StructLayout(
        {
            "numerator": data.ArrayLayout(6, config.queries),
            "denominator": data.ArrayLayout(6, config.queries),
            "exponent": data.ArrayLayout(8, config.queries),
            "first": 1,
            "last": 1,
        }
    )


class Softmax(wiring.Component):
    """Keep the scores of two blocks, and turn those of the elder into weights.

    Computes `p` and `w` of :func:`sw_ref.attention.attend`, bit for bit: the running maxima of the
    scores' integer parts, and of these plus the values' exponents, advance block by block; a weight
    is 2**fraction from a table, shifted right by how far the score lies below the maximum.

    The maxima of a block are used from when the weights of the block before are all taken, and must
    be so before the first score of the next block comes. :class:`BlockSequence` and
    :class:`Intake` see to it.

    Throughput is one score and one set of weights per cycle. Latency is six cycles from a block's
    last score to its first weights.

    Parameters
    ----------
    config : :class:`~rtl.spec.config.Config`
        Its `queries`, `head_dim` and `beat_bits` are used.

    Members
    -------
    i : :py:`In(stream.Signature(Score(config), always_ready=True))`
        Scores.
    rescale : :py:`Out(stream.Signature(Rescale(config)))`
        Comes before the weights of each block.
    weights : :py:`Out(stream.Signature(Weights(config)))`
        Weights of each position of a block, again for each chunk of values.
    """

    def __init__(self, config):
        self.config = config
        super().__init__(
            {
                "i": In(stream.Signature(Score(config), always_ready=True)),
                "rescale": Out(stream.Signature(Rescale(config))),
                "weights": Out(stream.Signature(Weights(config))),
            }
        )

    def elaborate(self, platform):
        m = Module()

        # Write side: scores of a block, into one slot.
        score = self.i.p
        slot = Signal()
        place = Signal(range(KV_BLOCK))
        pending = Signal()  # a block's scores and maxima are complete
        count = Signal(range(KV_BLOCK), reset_less=True)  # of its positions, less 1
        first = Signal(reset_less=True)
        last = Signal(reset_less=True)
        with m.If(self.i.valid):
            m.d.sync += place.eq(place + 1)
            with m.If(score.close):
                m.d.sync += [
                    place.eq(0),
                    slot.eq(~slot),
                    pending.eq(1),
                    count.eq(place),
                    first.eq(score.first),
                    last.eq(score.last),
                ]

        # Read side: weights, from the other slot.
        en, active, begin = Signal(), Signal(), Signal()
        out_slot = Signal()
        out_place = Signal(range(KV_BLOCK))
        out_count = Signal(range(KV_BLOCK), reset_less=True)
        chunks = self.config.head_dim // self.config.beat_bytes
        out_chunk = Signal(range(chunks))
        read = delayed(m, active, 1, en=en)
        split = delayed(m, read, 1, en=en)
        looked_up = delayed(m, split, 1, en=en)
        m.d.comb += [
            en.eq(self.weights.ready | ~self.weights.valid),
            begin.eq(
                pending
                & ~(active | read | split | looked_up | self.weights.valid)
                & ~self.rescale.valid
            ),
        ]
        with m.If(en):
            m.d.sync += self.weights.valid.eq(looked_up)
        with m.If(active & en):
            m.d.sync += out_place.eq(out_place + 1)
            with m.If(out_place == out_count):
                m.d.sync += [out_place.eq(0), out_chunk.eq(out_chunk + 1)]
                with m.If(out_chunk == chunks - 1):
                    m.d.sync += [active.eq(0), out_slot.eq(~out_slot)]
        with m.If(self.rescale.ready):
            m.d.sync += self.rescale.valid.eq(0)
        with m.If(begin):
            m.d.sync += [
                pending.eq(0),
                active.eq(1),
                out_count.eq(count),
                self.rescale.valid.eq(1),
                self.rescale.p.first.eq(first),
                self.rescale.p.last.eq(last),
            ]

        kept = partial(self.kept, m, Cat(place, slot), Cat(out_place, out_slot), en)
        exponent = kept("exponents", 8, score.exponent)
        for q in range(self.config.queries):
            self.weigh(m, q, kept, exponent, begin, en)

        return m

    def kept(self, m, written, wanted, en, name, shape, value):
        """Keep a value of each place in both slots; returns what was kept at `wanted`."""
        memory = m.submodules[name] = Memory(shape=shape, depth=2 * KV_BLOCK, init=[])
        write_port, read_port = memory.write_port(), memory.read_port()
        m.d.comb += [
            write_port.addr.eq(written),
            write_port.data.eq(value),
            write_port.en.eq(self.i.valid),
            read_port.addr.eq(wanted),
            read_port.en.eq(en),
        ]
        return read_port.data

    def weigh(self, m, q, kept, exponent, begin, en):
        """Maxima, shifts and weights of a query."""
        score = self.i.p
        top = Signal(signed(16), name=f"top{q}", reset_less=True)
        lifted_top = Signal(signed(16), name=f"lifted_top{q}", reset_less=True)
        whole = score.scores[q] >> FRACTION
        lifted = whole + score.exponent
        start = score.first & score.open
        with m.If(self.i.valid & (start | (whole > top))):
            m.d.sync += top.eq(whole)
        with m.If(self.i.valid & (start | (lifted > lifted_top))):
            m.d.sync += lifted_top.eq(lifted)

        out_top = Signal(signed(16), name=f"out_top{q}", reset_less=True)
        out_lifted_top = Signal(signed(16), name=f"out_lifted_top{q}", reset_less=True)
        with m.If(begin):
            m.d.sync += [
                out_top.eq(top),
                out_lifted_top.eq(lifted_top),
                # Maxima never fall within a head: the differences are not negative.
                self.rescale.p.denominator[q].eq(limited((top - out_top)[:16], MAX_RESCALE)),
                self.rescale.p.numerator[q].eq(
                    limited((lifted_top - out_lifted_top)[:16], MAX_RESCALE)
                ),
                self.rescale.p.exponent[q].eq(lifted_top - top),
            ]

        out_score = Signal(signed(24), name=f"out_score{q}")
        m.d.comb += out_score.eq(kept(f"scores{q}", signed(24), score.scores[q]))
        out_whole = Signal(signed(14), name=f"out_whole{q}", reset_less=True)
        out_lifted = Signal(signed(15), name=f"out_lifted{q}", reset_less=True)
        fraction = Signal(FRACTION, name=f"fraction{q}", reset_less=True)
        below = Signal(5, name=f"below{q}", reset_less=True)
        lifted_below = Signal(5, name=f"lifted_below{q}", reset_less=True)

        table = m.submodules[f"table{q}"] = Memory(shape=16, depth=len(EXP2), init=EXP2)
        table_port = table.read_port()
        m.d.comb += [table_port.addr.eq(fraction), table_port.en.eq(en)]
        with m.If(en):
            m.d.sync += [
                out_whole.eq(out_score >> FRACTION),
                out_lifted.eq((out_score >> FRACTION) + exponent),
                fraction.eq(out_score[:FRACTION]),
                below.eq(limited((out_top - out_whole)[:16], 16)),
                lifted_below.eq(limited((out_lifted_top - out_lifted)[:16], 16)),
                self.weights.p.shares[q].eq(table_port.data >> below),
                self.weights.p.factors[q].eq(table_port.data >> lifted_below),
            ]


def limited(value, limit):
    """The value, but at most the limit."""
    return Mux(value > limit, limit, value)
