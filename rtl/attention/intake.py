"""Intake: accepts beats of the KV cache, phase by phase, and tags them for the pipelines."""

from amaranth import *
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from ..spec.config import UNIT_BYTES
from .sequence import Phase
from .softmax import Weights
from .tag import Tag


__all__ = ["Intake"]


class Intake(wiring.Component):
    """Accept a beat once its operands are ready, so that the pipelines never stall.

    Keys wait for queries, values for weights and for accumulators that are ready. The unit of
    exponents that leads a block's keys is kept and handed out with the keys. Keys that a phase
    skips are taken, and are nothing to anyone.

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
        Weights, per position. Taken with the last chunk of the values.
    full : :py:`In(2)`
        Banks of the query buffer that are full.
    bank, chunk, release : :py:`Out(1)`, :py:`Out(range(head_dim / beat_bytes))`, :py:`Out(1)`
        What to read of the query buffer.
    open : :py:`In(1)`
        Accumulators are ready for the values of a block.
    closing : :py:`Out(1)`
        Last beat of a block's values is being taken.
    tag : :py:`Out(Tag(config))`
        What the beat is; neither key nor value: nothing. With it come the five below.
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
        beat_bits, unit_beats = self.config.beat_bits, self.config.unit_beats
        chunks = self.config.head_dim // self.config.beat_bytes

        phase = self.phase.p
        header = Signal(8 * UNIT_BYTES, reset_less=True)  # 32 exponents of keys, 32 of values
        headers = Signal(range(unit_beats + 1))  # beats of it that came
        chunk = Signal(range(chunks))
        position = Signal(6)

        wanted, line, taken, end, close = (
            Signal(name=name) for name in ("wanted", "line", "taken", "end", "close")
        )
        m.d.comb += [
            line.eq(phase.value | (headers == unit_beats)),
            wanted.eq(
                Mux(
                    phase.value,
                    self.weights.valid & self.open,
                    ~line | self.full.bit_select(self.bank, 1),
                )
            ),
            self.data.ready.eq(self.phase.valid & wanted),
            taken.eq(self.data.valid & self.data.ready),
            end.eq(chunk == chunks - 1),
            close.eq(position == phase.count - 1),
            self.phase.ready.eq(taken & line & end & close),
            self.weights.ready.eq(taken & phase.value & end),
            self.closing.eq(self.phase.ready & phase.value),
            self.release.eq(self.phase.ready & ~phase.value & phase.last),
            self.chunk.eq(chunk),
        ]
        with m.If(self.release):
            m.d.sync += self.bank.eq(~self.bank)

        with m.If(taken & line):
            m.d.sync += chunk.eq(Mux(end, 0, chunk + 1))
            with m.If(end):
                m.d.sync += position.eq(Mux(close, 0, position + 1))
                # The next key's exponents move to the front.
                for half in (header[: len(header) // 2], header[len(header) // 2 :]):
                    with m.If(~phase.value):
                        m.d.sync += half.eq(half >> 8)
            with m.If(end & close):
                m.d.sync += headers.eq(0)
        with m.If(taken & ~line):
            m.d.sync += [
                header.eq(Cat(header, self.data.payload)[beat_bits:]),
                headers.eq(headers + 1),
            ]

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
            self.beat.eq(self.data.payload),
            self.key_exponent.eq(header[:8]),
            self.value_exponent.eq(header[len(header) // 2 :][:8]),
        ]
        for q in range(self.config.queries):
            m.d.sync += [
                self.shares[q].eq(self.weights.p.shares[q]),
                self.factors[q].eq(self.weights.p.factors[q]),
            ]

        return m
