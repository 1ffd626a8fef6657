"""Intake: accepts beats of the KV cache, phase by phase, and tags them for the pipelines."""

from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ..bus.delay import delayed
from ..spec.config import UNIT_BYTES
from .reorder import ReorderBuffer
from .sequence import Phase
from .softmax import Weights
from .tag import Tag


__all__ = ["Intake"]


class Intake(wiring.Component):
    """Accept a beat once its operands are ready, so that the pipelines never stall.

    Keys wait for queries, values for weights and for accumulators that are ready. The unit of
    exponents that leads a block's keys is kept and handed out with the keys. Keys that a phase
    skips are taken, and are nothing to anyone.

    Values are taken chunk by chunk: the first elements of all positions of the block, then the
    next. So an accumulator serves one element at a time. Where a position has several chunks, all
    beats pass a :class:`ReorderBuffer`.

    Latency is one cycle, throughput one beat per cycle.

    Parameters
    ----------
    config : :class:`~rtl.spec.config.Config`
        Its `head_dim`, `beat_bits` and `queries` are used.

    Members
    -------
    phase : :py:`In(stream.Signature(Phase))`
        Phases to expect.
    data : :py:`In(stream.Signature(beat_bits))`
        Beats from memory.
    weights : :py:`In(stream.Signature(Weights(config)))`
        Weights, per position, again for each chunk.
    full : :py:`In(2)`
        Banks of the query buffer that are full.
    bank, chunk, release : :py:`Out(1)`, :py:`Out(range(head_dim / beat_bytes))`, :py:`Out(1)`
        What to read of the query buffer.
    open : :py:`In(1)`
        Accumulators are ready for the end of a chunk.
    closing : :py:`Out(1)`
        The value of a block's last position is being taken, of any chunk.
    tag : :py:`Out(Tag(config))`
        What the beat is; neither key nor value: nothing. With it come the four below.
    beat : :py:`Out(beat_bits)`
        8-bit elements.
    key_exponent, value_exponent : :py:`Out(8)`
        Biased exponents of the key's position.
    shares, factors : :py:`Out(16).array(queries)`
        Weights of a value, in the denominator and in the numerators.
    """

    def __init__(self, config):
        self.config = config
        chunk = range(config.head_dim // config.beat_bytes)
        super().__init__(
            {
                "phase": In(stream.Signature(Phase)),
                "data": In(stream.Signature(config.beat_bits)),
                "weights": In(stream.Signature(Weights(config))),
                "full": In(2),
                "bank": Out(1),
                "chunk": Out(chunk),
                "release": Out(1),
                "open": In(1),
                "closing": Out(1),
                "tag": Out(Tag(config)),
                "beat": Out(config.beat_bits),
                "key_exponent": Out(8),
                "value_exponent": Out(8),
                "shares": Out(16).array(config.queries),
                "factors": Out(16).array(config.queries),
            }
        )

    def elaborate(self, platform):
        m = Module()
        unit_beats = self.config.unit_beats
        chunks = self.config.head_dim // self.config.beat_bytes

        phase = self.phase.p
        headers = Signal(range(unit_beats + 1))  # beats of the unit of exponents that came
        chunk = Signal(range(chunks))
        position = Signal(6)

        there, wanted, line, taken, end, close, ends = (
            Signal(name=name)
            for name in ("there", "wanted", "line", "taken", "end", "close", "ends")
        )
        m.d.comb += [
            line.eq(phase.value | (headers == unit_beats)),
            wanted.eq(
                Mux(
                    phase.value,
                    self.weights.valid & (self.open | ~close),
                    ~line | self.full.bit_select(self.bank, 1),
                )
            ),
            taken.eq(self.phase.valid & there & wanted),
            end.eq(chunk == chunks - 1),
            close.eq(position == phase.count - 1),
            ends.eq(line & end & close),
            self.phase.ready.eq(taken & ends),
            self.weights.ready.eq(taken & phase.value),
            self.closing.eq(taken & phase.value & close),
            self.release.eq(self.phase.ready & ~phase.value & phase.last),
            self.chunk.eq(chunk),
        ]
        with m.If(self.release):
            m.d.sync += self.bank.eq(~self.bank)

        # Keys come chunk after chunk of a position, values position after position of a chunk.
        following = Mux(end, 0, chunk + 1)
        with m.If(taken & line):
            with m.If(~phase.value | close):
                m.d.sync += chunk.eq(following)
            with m.If(phase.value | end):
                m.d.sync += position.eq(Mux(close, 0, position + 1))
            with m.If(ends):
                m.d.sync += headers.eq(0)
        with m.If(taken & ~line):
            m.d.sync += headers.eq(headers + 1)

        m.d.sync += [
            self.tag.key.eq(taken & line & ~phase.value & (position >= phase.skip)),
            self.tag.value.eq(taken & phase.value),
            self.tag.chunk.eq(chunk),
            self.tag.start.eq(chunk == 0),
            self.tag.end.eq(end),
            self.tag.open.eq(position == phase.skip),
            self.tag.close.eq(close),
            self.tag.first.eq(phase.first),
            self.tag.last.eq(phase.last),
        ]
        for q in range(self.config.queries):
            m.d.sync += [
                self.shares[q].eq(self.weights.p.shares[q]),
                self.factors[q].eq(self.weights.p.factors[q]),
            ]

        if chunks == 1:
            m.d.comb += [there.eq(self.data.valid), self.data.ready.eq(taken)]
            m.d.sync += self.beat.eq(self.data.payload)
        else:
            self.reorder(m, phase, there, taken, end, close, ends)
        self.exponents(m, taken & ~line, headers[:-1], position[:-1])

        return m

    def reorder(self, m, phase, there, taken, end, close, ends):
        """Take values out of a reorder buffer, chunk by chunk."""
        chunks = self.config.head_dim // self.config.beat_bytes
        m.submodules.buffer = buffer = ReorderBuffer(self.config)
        wiring.connect(m, wiring.flipped(self.data), buffer.data)
        at, begin = Signal.like(buffer.at), Signal.like(buffer.at)  # `begin`: of the chunk
        first = Signal.like(buffer.at)  # of the phase
        following = Signal.like(buffer.at)
        m.d.comb += [
            buffer.at.eq(at),
            there.eq(buffer.there),
            self.beat.eq(buffer.beat),
            following.eq(
                Mux(
                    phase.value & ~ends,
                    Mux(close, begin + 1, at + chunks),
                    at + 1,
                )
            ),
        ]
        m.d.sync += buffer.free.eq(Mux(phase.value & ~end, first, at))
        with m.If(taken):
            m.d.sync += at.eq(following)
            with m.If(~phase.value | close):
                m.d.sync += begin.eq(following)
            with m.If(~phase.value | ends):
                m.d.sync += first.eq(following)

    def exponents(self, m, unit_taken, headers, position):
        """Keep the unit of exponents, and hand those of a key's position out."""
        comes = delayed(m, unit_taken, 1)
        number, at = (delayed(m, x, 1, reset_less=True) for x in (headers, position))
        header = Signal(data.ArrayLayout(len(self.beat), self.config.unit_beats), reset_less=True)
        with m.If(comes):
            m.d.sync += header[number].eq(self.beat)
        keys, values = header.as_value()[: 4 * UNIT_BYTES], header.as_value()[4 * UNIT_BYTES :]
        m.d.comb += [
            self.key_exponent.eq(keys.word_select(at, 8)),
            self.value_exponent.eq(values.word_select(at, 8)),
        ]
