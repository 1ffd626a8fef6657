"""Vector unit: executes Vector and Quant instructions."""

from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ..spec.isa import Dest, Func, Op, Quant, Vector
from ..spec.limits import INNER, INNER_BITS, OUTER_BITS, REPETITIONS
from ..spec.payloads import ActivationWrite, Dispatched, Quantized, vector_write
from .datapath import Datapath
from .interlock import Interlock
from .memory import VectorRead
from .quantizer import Quantizer
from .walk import Walk


__all__ = ["VectorUnit"]


def fields(layout, word):
    """The instruction in `word`."""
    return data.View(layout, word[: layout.size])


class VectorUnit(wiring.Component):
    """Execute :class:`~rtl.spec.isa.Vector` and :class:`~rtl.spec.isa.Quant` instructions, in
    order.

    Elements are read, computed and written one line per cycle. The next instruction begins while
    results of this one are on their way, and waits for those that it reads
    (:class:`~rtl.vector.interlock.Interlock`), so that a sequence behaves as if executed in order;
    but within one instruction, operands must not depend on its results: `d` may be the very lines
    of an operand (in place), and must not otherwise overlap with what is yet to be read.

    With N = outer * inner / lanes, the next instruction is accepted after these cycles, while reads
    need not wait:

    - DOT: N + 1 + outer * (5 + those of :class:`~rtl.vector.reduce.Reduce`).
    - Quant: when its last run has been accepted by the destination; lines are read as fast as the
      :class:`~rtl.vector.quantizer.Quantizer` takes them.
    - Others: N + 1, and 12 if that is less; when `busy` is low, after N + 11, if the results of
      repetitions overlap or do not rise.

    While another writer waits, one cycle in `SHARE` goes by without a read, so that one goes by
    without a write.

    An `outer` or `inner` of zero does nothing. Other opcodes must not be sent.

    Parameters
    ----------
    config : :class:`~rtl.spec.config.Config`

    Members
    -------
    insn : :py:`In(stream.Signature(Dispatched))`
        Instructions.
    busy : :py:`Out(1)`
        An instruction is executing, or its results are on their way. Once low, its results can be
        read (by instructions accepted in the same cycle or later), and its groups have been
        accepted.
    a, b, c : :py:`Out(VectorRead(config))`
        Read ports of the vector memory.
    write : :py:`Out(stream.Signature(vector_write(config)))`
        Results. Must always be accepted, and be visible two cycles later.
    waiting : :py:`In(1)`
        Another writer of the vector memory waits.
    act : :py:`Out(stream.Signature(ActivationWrite(config)))`
        Groups for the activation buffer.
    query : :py:`Out(stream.Signature(Quantized(config)))`
        Groups for attention's query registers.
    kv : :py:`Out(stream.Signature(Quantized(config)))`
        Groups for attention's append.
    """

    SHARE = 8

    def __init__(self, config):
        self.config = config
        super().__init__(
            {
                "insn": In(stream.Signature(Dispatched)),
                "busy": Out(1),
                **{name: Out(VectorRead(config)) for name in "abc"},
                "write": Out(stream.Signature(vector_write(config))),
                "waiting": In(1),
                "act": Out(stream.Signature(ActivationWrite(config))),
                "query": Out(stream.Signature(Quantized(config))),
                "kv": Out(stream.Signature(Quantized(config))),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.datapath = datapath = Datapath(self.config)
        m.submodules.quantizer = quantizer = Quantizer(self.config)
        m.submodules.interlock = interlock = Interlock(len(self.write.p.line))

        new_vector = fields(Vector.layout, self.insn.p.word)
        new_is_quant = new_vector.op == Op.QUANT
        start = Signal()
        m.d.comb += start.eq(self.insn.valid & self.insn.ready)

        word = Signal.like(self.insn.p.word, reset_less=True)
        vector, quant = fields(Vector.layout, word), fields(Quant.layout, word)
        is_quant = Signal()
        with m.If(start):
            m.d.sync += [word.eq(self.insn.p.word), is_quant.eq(new_is_quant)]

        step, wrap = Signal(), Signal()
        nothing, outer = self.count(m, vector, quant, is_quant, start, step, wrap)
        written = self.walk(m, vector, quant, is_quant, start, step, wrap)

        taken = Signal()  # The quantizer can take a line, or there is none.
        left = Signal()  # Runs are left in the quantizer.
        read = Signal()  # A line was read, and is not in the datapath yet.
        pause = self.pause(m)
        in_flight = read | datapath.pending | datapath.o.valid
        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += [self.insn.ready.eq(interlock.ready), self.busy.eq(in_flight)]
                with m.If(start):
                    m.next = "READ"
                    with m.If(nothing):
                        m.next = "DRAIN"
                    with m.Elif(new_is_quant):
                        m.next = "QUANTIZE"

            with m.State("READ"):
                m.d.comb += [
                    self.busy.eq(1),
                    step.eq(~interlock.hold & ~pause),
                    self.a.en.eq(1),
                    self.b.en.eq(~vector.b_const),
                    self.c.en.eq(~vector.c_const),
                ]
                with m.If(step & wrap & (vector.func == Func.DOT)):
                    m.next = "DRAIN"
                with m.Elif(step & wrap & (outer == 1)):
                    m.next = "IDLE"

            with m.State("QUANTIZE"):
                m.d.comb += [self.busy.eq(1), step.eq(taken & ~interlock.hold), self.a.en.eq(taken)]
                with m.If(step & wrap & (outer == 1)):
                    m.next = "DRAIN"

            with m.State("DRAIN"):
                m.d.comb += self.busy.eq(1)
                with m.If(~read & ~datapath.pending & ~(is_quant & left)):
                    m.next = "IDLE"
                    with m.If(~is_quant & outer.any()):
                        m.next = "READ"

        self.compute(m, datapath, vector, written, step & ~is_quant, wrap, outer, start, read)
        m.d.comb += [
            interlock.start.eq(start),
            interlock.results.eq(~nothing & ~new_is_quant & (new_vector.func != Func.DOT)),
            interlock.step.eq(step & ~is_quant),
            interlock.line.eq(written),
            interlock.in_flight.eq(in_flight),
        ]
        self.watch(m, interlock, datapath, vector, is_quant)
        self.quantize(m, quantizer, quant, start, step & is_quant, taken, left)
        return m

    def pause(self, m):
        """Whether no line is read in this cycle, for the sake of another writer."""
        pause = Signal()
        since = Signal(range(self.SHARE))
        m.d.comb += pause.eq(since == self.SHARE - 1)
        with m.If(since.any()):
            m.d.sync += since.eq(since - 1)
        with m.Elif(self.waiting):
            m.d.sync += since.eq(self.SHARE - 1)
        return pause

    def count(self, m, vector, quant, is_quant, start, step, wrap):
        """Count lines left of the repetition, and repetitions left. `wrap` is the repetition's last
        line.

        Returns whether the new instruction has none at all, and the repetitions left.
        """
        word_bits = (self.config.lanes - 1).bit_length()  # of an address, below the line's number
        new_vector = fields(Vector.layout, self.insn.p.word)
        new_quant = fields(Quant.layout, self.insn.p.word)
        new_is_quant = new_vector.op == Op.QUANT
        inner = Signal(range((1 << INNER_BITS) // self.config.lanes), reset_less=True)
        outer = Signal(OUTER_BITS, reset_less=True)
        new_inner = Mux(new_is_quant, new_quant.inner, new_vector.inner)[word_bits:]
        new_outer = Mux(new_is_quant, new_quant.outer, new_vector.outer)
        m.d.comb += wrap.eq(inner == 1)
        with m.If(start):
            m.d.sync += [inner.eq(new_inner), outer.eq(Mux(new_inner.any(), new_outer, 0))]
        with m.Elif(step & wrap):
            m.d.sync += [
                inner.eq(Mux(is_quant, quant.inner, vector.inner)[word_bits:]),
                outer.eq(outer - 1),
            ]
        with m.Elif(step):
            m.d.sync += inner.eq(inner - 1)
        return (new_inner == 0) | (new_outer == 0), outer

    def walk(self, m, vector, quant, is_quant, start, step, wrap):
        """Address the operands. Returns the line that the result goes to."""
        lines = len(self.write.p.line)
        word_bits = (self.config.lanes - 1).bit_length()  # of an address, below the line's number
        in_lines = slice(word_bits, word_bits + lines)
        new_vector = fields(Vector.layout, self.insn.p.word)
        new_quant = fields(Quant.layout, self.insn.p.word)
        new_is_quant = new_vector.op == Op.QUANT
        walks = {name: Walk(lines) for name in "abcd"}
        for name, walk in walks.items():
            m.submodules[f"walk_{name}"] = walk
            m.d.comb += [
                walk.start.eq(start),
                walk.step.eq(step),
                walk.wrap.eq(wrap),
                walk.base.eq(new_vector[name][in_lines]),
                walk.stride.eq(vector[f"{name}_stride"][word_bits:]),
            ]
        for name in "abc":
            m.d.comb += [
                getattr(self, name).line.eq(walks[name].line),
                walks[name].fill.eq(vector[f"{name}_fill"]),
            ]
        m.d.comb += walks["d"].fill.eq(vector.func == Func.DOT)
        with m.If(new_is_quant):
            m.d.comb += walks["a"].base.eq(new_quant.a[in_lines])
        with m.If(is_quant):
            m.d.comb += [walks["a"].stride.eq(quant.stride[word_bits:]), walks["a"].fill.eq(0)]
        return walks["d"].line

    def watch(self, m, interlock, datapath, vector, is_quant):
        """Tell the interlock what is read and written."""
        m.d.comb += [
            interlock.rising.eq(is_quant | (vector.outer == 1) | (vector.d_stride >= vector.inner)),
            interlock.written.eq(datapath.written),
            interlock.first.eq(datapath.first),
            interlock.last.eq(datapath.last),
            interlock.at.eq(datapath.o.p.line),
            interlock.reads.eq(Mux(is_quant, 1, Cat(1, ~vector.b_const, ~vector.c_const))),
            *[interlock.lines[n].eq(getattr(self, name).line) for n, name in enumerate("abc")],
        ]

    def compute(self, m, datapath, vector, line, step, wrap, outer, start, read):
        """Send what is read through the datapath. Sets `read` while a line is on its way there."""
        read_line = Signal.like(line, reset_less=True)
        first, read_first, read_last = Signal(), Signal(reset_less=True), Signal(reset_less=True)
        with m.If(step):
            m.d.sync += first.eq(0)
        with m.If(start):
            m.d.sync += first.eq(1)
        m.d.sync += [
            read.eq(step),
            read_line.eq(line),
            read_first.eq(first),
            read_last.eq(wrap & ((vector.func == Func.DOT) | (outer == 1))),
            datapath.i.valid.eq(read),
            datapath.i.p.func.eq(vector.func),
            datapath.i.p.line.eq(read_line),
            datapath.i.p.first.eq(read_first),
            datapath.i.p.last.eq(read_last),
        ]
        m.d.comb += [
            self.write.valid.eq(datapath.o.valid),
            self.write.payload.eq(datapath.o.payload),
        ]
        # Registered: memory outputs arrive late, and the three copies are far apart.
        operands = datapath.i.p
        m.d.sync += [
            operands.a.eq(self.a.data),
            operands.b.eq(self.b.data),
            operands.c.eq(self.c.data),
        ]
        with m.If(vector.b_const):
            m.d.sync += operands.b.as_value().eq(vector.b_value.replicate(self.config.lanes))
        with m.If(vector.c_const):
            m.d.sync += operands.c.as_value().eq(vector.c_value.replicate(self.config.lanes))

    def quantize(self, m, quantizer, quant, start, step, taken, left):
        """Send what is read through the quantizer, and its groups to their destination."""
        m.d.comb += [
            taken.eq(quantizer.i.ready | ~quantizer.i.valid),
            quantizer.i.p.values.eq(self.a.data),
            quantizer.i.p.head.eq(quant.dest != Dest.ACT),
            quantizer.i.p.wide.eq(quant.dest == Dest.QUERY),
        ]
        with m.If(taken):
            m.d.sync += quantizer.i.valid.eq(step)

        o = quantizer.o
        accepted = Signal()
        # Read but not accepted.
        runs = Signal(range(REPETITIONS * INNER // self.config.lanes + 1))
        m.d.sync += runs.eq(runs + step - accepted)
        m.d.comb += [accepted.eq(o.valid & o.ready), left.eq(runs.any())]

        clear = Signal()
        group = Signal.like(quant.act, reset_less=True)
        with m.If(start):
            m.d.sync += [clear.eq(1), group.eq(fields(Quant.layout, self.insn.p.word).act)]
        with m.Elif(accepted):
            m.d.sync += [clear.eq(0), group.eq(group + o.p.last)]

        m.d.comb += [
            self.query.payload.eq(o.payload),
            self.kv.payload.eq(o.payload),
            *(act.eq(value) for act, value in zip(self.act.p.values, o.p.values)),
            self.act.p.exponent.eq(o.p.exponent),
            self.act.p.group.eq(group),
            self.act.p.column.eq(quant.column),
            self.act.p.clear.eq(clear),
            self.act.p.last.eq(o.p.last),
        ]
        with m.Switch(quant.dest):
            for dest, port in ((Dest.ACT, self.act), (Dest.QUERY, self.query), (Dest.KV, self.kv)):
                with m.Case(dest):
                    m.d.comb += [port.valid.eq(o.valid), o.ready.eq(port.ready)]
