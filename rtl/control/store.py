"""Instruction store: the instructions of all queues, in one memory."""

from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ..bus.ram import BlockRam
from ..spec.isa import WORD_BITS
from ..spec.limits import PC_BITS
from ..spec.payloads import Dispatched


__all__ = ["InstructionStore"]


class InstructionStore(wiring.Component):
    """Keep instructions of several queues, in the order of each.

    Instructions come one at a time, as the sequencer issues them, and leave one at a time, to the
    first queue that is ready and has some. So one block RAM holds them all.

    Latency is two cycles. Throughput is one instruction per cycle, of each queue one every two.

    Parameters
    ----------
    depths : iterable of :class:`int`
        Instructions of each queue that are held: powers of two of at least 2.
    bits : :class:`int`
        Lowest bits of an instruction that are kept. The others are 0 at the outputs.

    Members
    -------
    i : :py:`In(stream.Signature(Dispatched)).array(len(depths))`
        Instructions for each queue. One is valid at most, and the payloads of all are the same.
    o : :py:`Out(stream.Signature(Dispatched)).array(len(depths))`
        Instructions of each. One is valid at most, and only in a cycle after one in which `ready`
        was high, which stays so until it is.
    empty : :py:`Out(1).array(len(depths))`
        None of this queue is held.
    """

    def __init__(self, depths, bits=WORD_BITS):
        self.depths, self.bits = list(depths), bits
        for depth in self.depths:
            if not isinstance(depth, int) or depth < 2 or depth & (depth - 1):
                raise ValueError(f"Queue depth must be a power of two of at least 2, not {depth!r}")
        queues = len(self.depths)
        super().__init__(
            {
                "i": In(stream.Signature(Dispatched)).array(queues),
                "o": Out(stream.Signature(Dispatched)).array(queues),
                "empty": Out(1, init=1).array(queues),
            }
        )

    def elaborate(self, platform):
        m = Module()

        queues = len(self.depths)
        at_bits = (max(self.depths) - 1).bit_length()  # of an address, below the queue's number
        layout = data.StructLayout({"word": self.bits, "pc": PC_BITS})
        m.submodules.ram = ram = BlockRam(layout, queues << at_bits)
        m.d.comb += [
            ram.write_data.word.eq(self.i[0].payload.word),
            ram.write_data.pc.eq(self.i[0].payload.pc),
        ]

        coming = Signal(queues)  # the queue whose instruction the memory's output is
        granted = Const(0)  # to a queue before this one
        for n, depth in enumerate(self.depths):
            level = Signal(range(depth + 1), name=f"level{n}")
            write_at = Signal(range(depth), name=f"write_at{n}")
            read_at = Signal(range(depth), name=f"read_at{n}")
            write, read, some = Signal(), Signal(), Signal(name=f"some{n}")
            i, o = self.i[n], self.o[n]
            m.d.comb += [
                i.ready.eq(~level[-1]),
                write.eq(i.valid & i.ready),
                some.eq((level != 0) & o.ready & ~coming[n]),
                read.eq(some & ~granted),
                o.valid.eq(coming[n]),
                o.payload.word.eq(ram.data.word),
                o.payload.pc.eq(ram.data.pc),
                self.empty[n].eq((level == 0) & ~coming[n]),
            ]
            m.d.sync += [
                write_at.eq(write_at + write),
                read_at.eq(read_at + read),
                level.eq(level + write - read),
                coming[n].eq(read),
            ]
            with m.If(write):
                m.d.comb += [ram.write_en.eq(1), ram.write_addr.eq(n << at_bits | write_at)]
            with m.If(read):
                m.d.comb += [ram.read_en.eq(1), ram.read_addr.eq(n << at_bits | read_at)]
            granted = granted | some

        return m
