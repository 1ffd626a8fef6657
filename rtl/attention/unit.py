"""Attention unit: appends to the KV cache, and attends to it."""

from amaranth import *
from amaranth.lib import data, fifo, stream, wiring
from amaranth.lib.wiring import In, Out

from ..spec.isa import Append, Attend, Op
from ..spec.payloads import Dispatched, Quantized, ReadRequest, WriteLine, vector_write
from .accumulate import Accumulators
from .append import KvAppend
from .cap import ScoreCap
from .intake import Intake
from .output import AttentionOutput
from .products import ProductArray
from .queries import QueryBuffer
from .scores import Scorer
from .sequence import BlockSequence, Phase
from .softmax import Softmax


__all__ = ["AttentionUnit"]


PHASES_AHEAD = 8


class AttentionUnit(wiring.Component):
    """Execute :class:`~rtl.spec.isa.Append` and :class:`~rtl.spec.isa.Attend`, in order.

    Computes :func:`sw_ref.attention.attend`, bit for bit: FuseMax's one-pass cascade
    (arXiv:2406.10491), with running maxima that are integers, so that rescaling is a shift.

    A beat of keys or values meets all query heads of its KV head at once. Blocks are pipelined
    (:class:`BlockSequence`): while memory delivers a beat per cycle one is taken per cycle, but for
    the last block of the last head, where the values wait about ten cycles, and as many for the
    rescaling. Requests run ahead by up to eight phases (of keys, or values, of a block).

    Parameters
    ----------
    config : :class:`~rtl.spec.config.Config`
        Configuration.

    Members
    -------
    insn : :py:`In(stream.Signature(Dispatched))`
        Instructions.
    busy : :py:`Out(1)`
        From the cycle after an instruction is taken until its effects are there for all to see.
    kv : :py:`In(stream.Signature(Quantized(config)))`
        Keys and values to append: groups of `head_dim` 8-bit values.
    query : :py:`In(stream.Signature(Quantized(config)))`
        Queries: groups of `head_dim` 16-bit values.
    req : :py:`Out(stream.Signature(ReadRequest))`
        Reads of the KV cache.
    data : :py:`In(stream.Signature(beat_bits))`
        What was read.
    line : :py:`Out(stream.Signature(WriteLine))`
        Writes to the KV cache.
    written : :py:`In(1)`
        Memory has acknowledged all lines. Low from the cycle after a line is taken until then.
    write : :py:`Out(stream.Signature(vector_write(config)))`
        Writes to the vector memory.
    """

    def __init__(self, config):
        self.config = config
        super().__init__(
            {
                "insn": In(stream.Signature(Dispatched)),
                "busy": Out(1),
                "kv": In(stream.Signature(Quantized(config))),
                "query": In(stream.Signature(Quantized(config))),
                "req": Out(stream.Signature(ReadRequest)),
                "data": In(stream.Signature(config.beat_bits)),
                "line": Out(stream.Signature(WriteLine)),
                "written": In(1),
                "write": Out(stream.Signature(vector_write(config))),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config = self.config

        m.submodules.append = append = KvAppend(config)
        m.submodules.sequence = sequence = BlockSequence(config)
        m.submodules.phases = phases = fifo.SyncFIFOBuffered(width=Phase.size, depth=PHASES_AHEAD)
        m.submodules.queries = queries = QueryBuffer(config)
        m.submodules.intake = intake = Intake(config)
        m.submodules.products = products = ProductArray(config)
        m.submodules.scorer = scorer = Scorer(config)
        m.submodules.softmax = softmax = Softmax(config)
        m.submodules.sums = sums = Accumulators(config)
        m.submodules.output = output = AttentionOutput(config)

        wiring.connect(m, wiring.flipped(self.kv), append.i)
        wiring.connect(m, append.line, wiring.flipped(self.line))
        wiring.connect(m, wiring.flipped(self.query), queries.i)
        wiring.connect(m, sequence.req, wiring.flipped(self.req))
        wiring.connect(m, wiring.flipped(self.data), intake.data)
        if config.score_cap:
            m.submodules.cap = cap = ScoreCap(config)
            wiring.connect(m, scorer.o, cap.i)
            wiring.connect(m, cap.o, softmax.i)
        else:
            wiring.connect(m, scorer.o, softmax.i)
        wiring.connect(m, softmax.weights, intake.weights)
        wiring.connect(m, softmax.rescale, sums.rescale)
        wiring.connect(m, sums.o, output.i)
        wiring.connect(m, output.write, wiring.flipped(self.write))
        m.d.comb += [
            append.written.eq(self.written),
            phases.w_data.eq(sequence.phase.payload),
            phases.w_en.eq(sequence.phase.valid),
            sequence.phase.ready.eq(phases.w_rdy),
            intake.phase.payload.eq(phases.r_data),
            intake.phase.valid.eq(phases.r_rdy),
            phases.r_en.eq(intake.phase.ready),
            intake.full.eq(queries.full),
            intake.open.eq(sums.open),
            queries.bank.eq(intake.bank),
            queries.chunk.eq(intake.chunk),
            queries.release.eq(intake.release),
            products.beat.eq(intake.beat),
            products.value.eq(intake.tag.value),
            scorer.tag.eq(intake.tag),
            scorer.key_exponent.eq(intake.key_exponent),
            scorer.value_exponent.eq(intake.value_exponent),
            sums.tag.eq(intake.tag),
            sums.closing.eq(intake.closing),
        ]
        for q in range(config.queries):
            m.d.comb += [
                products.weights[q].eq(intake.factors[q]),
                scorer.query_exponents[q].eq(queries.exponents[q]),
                scorer.sums[q].eq(products.sums[q]),
                sums.shares[q].eq(intake.shares[q]),
            ]
            for n in range(config.beat_bytes):
                m.d.comb += [
                    products.queries[q][n].eq(queries.values[q][n]),
                    sums.products[q][n].eq(products.products[q][n]),
                ]

        word = Signal(max(Append.layout.size, Attend.layout.size), reset_less=True)
        self.command(m, word, append, sequence, queries, sums, output)
        if config.score_cap:
            m.d.comb += cap.enable.eq(data.View(Attend.layout, word[: Attend.layout.size]).cap)

        with m.FSM() as fsm:
            m.d.comb += self.busy.eq(~fsm.ongoing("IDLE"))

            with m.State("IDLE"):
                m.d.comb += self.insn.ready.eq(1)
                m.d.sync += word.eq(self.insn.p.word)
                with m.If(self.insn.valid):
                    m.next = "START"

            with m.State("START"):
                # All are idle, and take their commands at once.
                with m.If(word[:8] == Op.APPEND.value):
                    m.d.comb += append.command.valid.eq(1)
                with m.Else():
                    m.d.comb += [
                        sequence.command.valid.eq(1),
                        queries.command.valid.eq(1),
                        sums.clear.eq(1),
                        output.command.valid.eq(1),
                    ]
                m.next = "BUSY"

            with m.State("BUSY"):
                with m.If(~append.busy & ~output.busy):
                    m.next = "IDLE"

        return m

    def command(self, m, word, append, sequence, queries, sums, output):
        """Give the parts the fields of the instruction that `word` is."""
        to_append = data.View(Append.layout, word[: Append.layout.size])
        to_attend = data.View(Attend.layout, word[: Attend.layout.size])
        line_shift = (self.config.lanes - 1).bit_length()
        m.d.comb += [
            append.command.p.value.eq(to_append.value),
            append.command.p.heads.eq(to_append.heads),
            append.command.p.addr.eq(to_append.addr),
            append.command.p.stride.eq(to_append.stride),
            append.command.p.position.eq(to_append.position),
            sequence.command.p.heads.eq(to_attend.heads),
            sequence.command.p.addr.eq(to_attend.addr),
            sequence.command.p.stride.eq(to_attend.stride),
            sequence.command.p.length.eq(to_attend.length),
            sequence.command.p.window.eq(to_attend.window),
            sequence.command.p.newest.eq(to_attend.newest),
            queries.command.p.heads.eq(to_attend.heads),
            queries.command.p.queries.eq(to_attend.queries),
            sums.queries.eq(to_attend.queries),
            output.command.p.heads.eq(to_attend.heads),
            output.command.p.queries.eq(to_attend.queries),
            output.command.p.dst.eq(to_attend.dst >> line_shift),
            output.command.p.sums.eq(to_attend.sums >> line_shift),
        ]
