"""Load unit: copies fp32 words from DRAM to the vector memory."""

from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ..bus.skid import SkidBuffer
from ..fp.format import MAX, saturated
from ..spec.config import UNIT_BYTES
from ..spec.isa import Load
from ..spec.payloads import Dispatched, ReadRequest, vector_write


__all__ = ["LoadUnit"]


class LoadUnit(wiring.Component):
    """Execute :class:`~rtl.spec.isa.Load`.

    Words are copied as :func:`sw_ref.numerics.loaded` does: those with the exponent 255 become the
    largest finite number, all others stay as they are.

    A beat holds one or more lines of the vector memory, or a line takes several beats: both are
    cut from one shift register.

    Latency is one cycle from the instruction to the read request, and two from a beat to its
    first line. Throughput is one beat or one line per cycle, whichever is longer.

    Parameters
    ----------
    config : :class:`~rtl.spec.config.Config`
        Configuration.

    Members
    -------
    insn : :py:`In(stream.Signature(Dispatched))`
        Instructions.
    busy : :py:`Out(1)`
        High from the cycle after acceptance until the last word is in the vector memory.
    req : :py:`Out(stream.Signature(ReadRequest))`
        Requests to the memory reader.
    data : :py:`In(stream.Signature(config.beat_bits))`
        Beats from it.
    write : :py:`Out(stream.Signature(vector_write(config)))`
        Lines for the vector memory.
    """

    def __init__(self, config):
        self.config = config
        super().__init__(
            {
                "insn": In(stream.Signature(Dispatched)),
                "busy": Out(1),
                "req": Out(stream.Signature(ReadRequest)),
                "data": In(stream.Signature(config.beat_bits)),
                "write": Out(stream.Signature(vector_write(config))),
            }
        )

    def elaborate(self, platform):
        m = Module()
        beat_bits, lanes = self.config.beat_bits, self.config.lanes
        line_bits = 32 * lanes
        beats_per_line = max(1, line_bits // beat_bits)
        lines_per_beat = max(1, beat_bits // line_bits)
        unit_lines = UNIT_BYTES * 8 // line_bits

        insn = data.View(Load.layout, self.insn.payload.word[: Load.layout.size])
        line = Signal.like(self.write.payload.line, reset_less=True)
        left = Signal(range(unit_lines << len(insn.size)), reset_less=True)  # lines
        wanted = Signal(
            range(self.config.unit_beats << len(insn.size)), reset_less=True
        )  # beats, one less
        more = Signal()  # beats have yet to come
        done = Signal()
        store = Signal(max(beat_bits, line_bits), reset_less=True)
        beats = Signal(range(beats_per_line + 1))  # held, of the line being gathered
        lines = Signal(range(lines_per_beat + 1))  # held, still to be written
        # Skid buffer: the vector memory's `ready` arrives late, and must not reach the reader's
        # buffer.
        m.submodules.skid = skid = SkidBuffer(self.write.payload.shape())
        wiring.connect(m, skid.o, wiring.flipped(self.write))
        write = skid.i
        # Registers that begin as `MAX` saturate through their set inputs, not through LUTs.
        words = Signal.like(write.payload.data, init=[MAX] * lanes, reset_less=True)
        free = Signal()
        m.d.comb += [free.eq(~write.valid | write.ready), write.payload.data.eq(words)]

        with m.If(self.req.ready):
            m.d.sync += self.req.valid.eq(0)
        with m.If(write.ready):
            m.d.sync += write.valid.eq(0)

        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += self.insn.ready.eq(1)
                m.d.sync += [
                    self.req.payload.addr.eq(insn.addr),
                    self.req.payload.size.eq(insn.size),
                    line.eq(insn.dst >> (self.config.lanes - 1).bit_length()),
                    left.eq(insn.size * unit_lines),
                    wanted.eq(insn.size * self.config.unit_beats - 1),
                    more.eq(self.insn.valid & (insn.size != 0)),
                ]
                with m.If(self.insn.valid):
                    m.d.sync += [self.req.valid.eq(1), self.busy.eq(1)]
                    m.next = "COPY"
            with m.State("COPY"):
                # The last of the lines goes out in the cycle in which the next beat comes in.
                with m.If((lines == 0) | ((lines == 1) & free)):
                    m.d.comb += self.data.ready.eq(more)
                with m.If((lines != 0) & free):
                    m.d.sync += [
                        write.valid.eq(1),
                        write.payload.line.eq(line),
                        write.payload.mask.eq(~0),
                        *[
                            word.eq(saturated(store.word_select(n, 32)))
                            for n, word in enumerate(words)
                        ],
                        store.eq(store >> line_bits),
                        lines.eq(lines - 1),
                        line.eq(line + 1),
                        left.eq(left - 1),
                    ]
                with m.If(self.data.valid & self.data.ready):
                    m.d.sync += [wanted.eq(wanted - 1), more.eq(wanted != 0)]
                    m.d.sync += store.eq(Cat(store, self.data.payload)[-len(store) :])
                    if beats_per_line == 1:
                        m.d.sync += lines.eq(lines_per_beat)
                    else:
                        m.d.sync += beats.eq(Mux(beats == beats_per_line - 1, 0, beats + 1))
                        with m.If(beats == beats_per_line - 1):
                            m.d.sync += lines.eq(1)
                m.d.sync += done.eq((left == 0) & ~self.write.valid & ~self.req.valid)
                with m.If(done):
                    m.d.sync += [self.busy.eq(0), done.eq(0)]
                    m.next = "IDLE"

        return m
