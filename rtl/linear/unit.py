"""Linear unit."""

from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ..cores.among import among
from ..spec.config import GROUP, Config
from ..spec.csr import BEST
from ..spec.formats import SPARSE
from ..spec.isa import Embed, MatMul, Op
from ..spec.limits import COLUMN_BITS, ROW_BITS
from ..spec.numbers import UNIT_WORDS
from ..spec.payloads import ActivationWrite, Dispatched, Logit, vector_write
from .best import BestLogits
from .combine import Combiner
from .embed import Embedder
from .pipeline import LinearPipeline
from .row_scale import BIAS, RowScaler


__all__ = ["LinearUnit"]


class LinearUnit(wiring.Component):
    """Execute :class:`~rtl.spec.isa.MatMul` and :class:`~rtl.spec.isa.Embed`.

    A front takes the weights of one matrix after the other, a back scales and writes the results.
    The next instruction is taken while the back still works on the last, so that the weight stream
    does not wait for results to drain; `busy` falls when the last of all that were taken is
    complete. A MatMul is taken with the last beat of its descriptor, which says its format.

    Throughput is a weight beat per cycle, or a step of the core's for each of the steps that it
    makes of a beat, or the results of N rows in N * M cycles where that is more.

    Parameters
    ----------
    config : :class:`~rtl.spec.config.Config`

    Members
    -------
    insn : :py:`In(stream.Signature(Dispatched))`
        Instructions. Tokens may be given for an instruction once `busy` is low.
    busy : :py:`Out(1)`
        From when an instruction is offered until its results can be read.
    beats : :py:`In(stream.Signature(config.beat_bits))`
        Matrices, see :mod:`rtl.spec.descriptor`, and blocks, see :mod:`rtl.spec.formats`.
    write_act : :py:`In(stream.Signature(ActivationWrite(config)))`
        Writes to the activation buffer.
    write : :py:`Out(stream.Signature(vector_write(config)))`
        Results.
    best_index : :py:`In(6)`
        Place in the list of the best logits.
    best : :py:`Out(Logit)`
        Logit at the `best_index` of the cycle before, see :class:`~rtl.linear.best.BestLogits`.
    starved : :py:`Out(1)`
        A weight beat could have been taken in this cycle, but there was none.
    fault : :py:`Out(1)`
        The descriptor of the MatMul taken last contradicts. Held until reset, with `fault_info`.
    fault_info : :py:`Out(32)`
        See :func:`rtl.spec.descriptor.fault_info`.
    """

    def __init__(self, config):
        if not isinstance(config, Config):
            raise TypeError(f"Configuration must be a Config, not {config!r}")
        self.config = config
        super().__init__(
            {
                "insn": In(stream.Signature(Dispatched)),
                "busy": Out(1),
                "beats": In(stream.Signature(config.beat_bits)),
                "write_act": In(stream.Signature(ActivationWrite(config))),
                "write": Out(stream.Signature(vector_write(config))),
                "best_index": In(range(BEST)),
                "best": Out(Logit),
                "starved": Out(1),
                "fault": Out(1),
                "fault_info": Out(32),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config = self.config

        m.submodules.front = front = LinearPipeline(config)
        m.submodules.embedder = embedder = Embedder(config)
        m.submodules.scaler = scaler = RowScaler(config)
        m.submodules.combiner = combiner = Combiner(config)
        m.submodules.search = search = BestLogits()

        wiring.connect(m, wiring.flipped(self.beats), front.beats)
        wiring.connect(m, wiring.flipped(self.write_act), front.write)
        wiring.connect(m, front.embed, embedder.weights)
        wiring.connect(m, combiner.o, wiring.flipped(self.write))
        m.d.comb += [
            search.index.eq(self.best_index),
            self.best.eq(search.entry),
            self.starved.eq(front.starved),
            self.fault.eq(front.fault),
            self.fault_info.eq(front.fault_info),
        ]

        # The front starts an instruction at once; what the back needs of it waits its turn.
        back = data.StructLayout(
            {
                "embed": 1,
                "best": 1,
                "sparse": 1,
                "column": 4,
                "rows": ROW_BITS,
                "row": ROW_BITS,
                "centre": 3,
                "dst": 18,
                "stride": COLUMN_BITS,
            }
        )
        pending = Signal()
        waiting = Signal(back, reset_less=True)  # taken, while `pending`
        current = Signal(back, reset_less=True)  # what the back works on
        self.take(m, front, pending, waiting)

        # The back is one matrix deep. Its parts are idle before the next one's first sums come.
        activate = Signal()
        m.d.comb += [
            activate.eq(pending & scaler.command.ready & embedder.command.ready & ~search.busy),
            scaler.command.valid.eq(activate),
            scaler.command.p.rows.eq(waiting.rows),
            scaler.command.p.single.eq(waiting.best | waiting.embed),
            scaler.command.p.column.eq(waiting.column),
            scaler.command.p.sparse.eq(waiting.sparse),
            scaler.top.eq(front.top),
            embedder.command.valid.eq(activate & waiting.embed),
            embedder.command.p.row.eq(waiting.row),
            embedder.command.p.centre.eq(waiting.centre),
            search.clear.eq(activate & waiting.best),
        ]
        with m.If(waiting.embed):
            m.d.comb += scaler.top[0].eq(BIAS)  # times one
        with m.If(activate):
            m.d.sync += pending.eq(0)
            m.d.sync += current.eq(waiting)

        def join(o, i, chosen):
            m.d.comb += o.ready.eq(i.ready & chosen)
            with m.If(chosen):
                m.d.comb += i.valid.eq(o.valid)
                m.d.comb += i.payload.eq(o.payload)

        join(front.accs, scaler.accs, ~current.embed)
        join(front.row_scales, scaler.row_scales, ~current.embed)
        join(embedder.accs, scaler.accs, current.embed)
        join(embedder.scales, scaler.row_scales, current.embed)
        # Both take row scales only while they work.
        with m.If(current.embed):
            m.d.comb += front.row_scales.ready.eq(embedder.row_scales.ready)
        m.d.comb += [
            embedder.row_scales.valid.eq(front.row_scales.valid & current.embed),
            embedder.row_scales.payload.eq(front.row_scales.payload),
        ]

        placed = self.place(m, scaler.o, current, search, combiner)

        # A line can be read two cycles after it was taken.
        active = Signal()
        settle = Signal()
        m.d.comb += [
            active.eq(
                self.insn.valid
                | pending
                | ~scaler.command.ready
                | ~embedder.command.ready
                | search.busy
                | placed
                | combiner.busy
            ),
            self.busy.eq(active | settle),
        ]
        m.d.sync += settle.eq(active)

        return m

    def take(self, m, front, pending, waiting):
        """Give an instruction to the front; what the back needs of it waits."""
        config = self.config
        word = self.insn.p.word
        matmul = data.View(MatMul.layout, word[: MatMul.layout.size])
        embed = data.View(Embed.layout, word[: Embed.layout.size])
        sparse = SPARSE.intersection(config.weight_formats)
        m.d.comb += [
            front.command.valid.eq(self.insn.valid & ~pending),
            self.insn.ready.eq(front.command.ready & ~pending),
        ]
        with m.If(word[:8] == Op.EMBED):
            m.d.comb += [
                front.command.p.embed.eq(1),
                front.command.p.format.eq(embed.format),
                front.command.p.rows.eq(UNIT_WORDS),
                front.command.p.groups.eq(embed.groups),
            ]
        with m.Else():
            m.d.comb += [
                front.command.p.rows.eq(matmul.rows),
                front.command.p.groups.eq(matmul.groups),
                front.command.p.act.eq(matmul.act),
            ]
        with m.If(self.insn.valid & self.insn.ready):
            m.d.sync += pending.eq(1)
            with m.If(word[:8] == Op.EMBED):
                m.d.sync += [
                    waiting.embed.eq(1),
                    waiting.best.eq(0),
                    waiting.sparse.eq(0),
                    waiting.column.eq(0),
                    waiting.rows.eq(embed.groups * GROUP),
                    waiting.row.eq(embed.row),
                    waiting.centre.eq(embed.centre),
                    waiting.dst.eq(embed.dst),
                ]
            with m.Else():
                m.d.sync += [
                    waiting.embed.eq(0),
                    waiting.best.eq(matmul.best),
                    waiting.sparse.eq(among(front.format, sparse)),
                    waiting.column.eq(matmul.column),
                    waiting.rows.eq(matmul.rows),
                    waiting.dst.eq(matmul.dst),
                    waiting.stride.eq(matmul.stride),
                ]

    def place(self, m, result, current, search, combiner):
        """Send results to the search, or to their places in the vector memory.

        Returns whether one is on its way there.
        """
        # Columns follow each other, so the stride is added rather than multiplied.
        placed = Signal()
        near = Signal(18, reset_less=True)  # dst + row
        far = Signal(18, reset_less=True)  # column * stride
        column = Signal(4, reset_less=True)  # of `far`
        ended = Signal(reset_less=True)
        value = Signal(32, reset_less=True)
        m.d.comb += [
            search.i.valid.eq(result.valid & current.best),
            search.i.p.id.eq(result.p.row),
            search.i.p.value.eq(result.p.value),
            result.ready.eq(Mux(current.best, search.i.ready, combiner.i.ready | ~placed)),
            combiner.i.valid.eq(placed),
            combiner.i.p.addr.eq(near + far),
            combiner.i.p.data.eq(value),
            combiner.i.p.last.eq(ended),
        ]
        with m.If(combiner.i.ready):
            m.d.sync += placed.eq(0)
        with m.If(result.valid & result.ready & ~current.best):
            m.d.sync += [
                placed.eq(1),
                near.eq(current.dst + result.p.row),
                ended.eq(result.p.last),
                value.eq(result.p.value),
                column.eq(result.p.column),
            ]
            with m.If(result.p.column == 0):
                m.d.sync += far.eq(0)
            with m.Elif(result.p.column != column):
                m.d.sync += far.eq(far + current.stride)
        return placed
