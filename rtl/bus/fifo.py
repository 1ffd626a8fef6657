"""FIFO: keeps the payloads of a stream, in order."""

from amaranth import *
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from .ram import BlockRam


__all__ = ["Fifo"]


DISTRIBUTED = 16  # payloads that are kept in LUTs at most: as many as a LUT has bits


class Fifo(wiring.Component):
    """Keep payloads, in order.

    Up to 16 are kept in LUTs, more in block RAM, with one more payload in its output's register.
    Latency is one cycle, with block RAM two. Throughput is one payload per cycle. Backpressure is
    respected.

    Parameters
    ----------
    shape : shape-like
        Payload.
    depth : :class:`int`
        Payloads held: a power of two of at least 2.

    Members
    -------
    i : :py:`In(stream.Signature(shape))`
        Payloads.
    o : :py:`Out(stream.Signature(shape))`
        The same.
    empty : :py:`Out(1)`
        None is held.
    """

    def __init__(self, shape, depth):
        if not isinstance(depth, int) or depth < 2 or depth & (depth - 1):
            raise ValueError(f"Depth must be a power of two of at least 2, not {depth!r}")
        self.shape, self.depth = shape, depth
        super().__init__(
            {
                "i": In(stream.Signature(shape)),
                "o": Out(stream.Signature(shape)),
                "empty": Out(1, init=1),
            }
        )

    def elaborate(self, platform):
        m = Module()

        level = Signal(range(self.depth + 1))  # in the memory
        write_at, read_at = Signal(range(self.depth)), Signal(range(self.depth))
        write, read = Signal(), Signal()
        m.d.comb += [self.i.ready.eq(~level[-1]), write.eq(self.i.valid & ~level[-1])]
        m.d.sync += [
            write_at.eq(write_at + write),
            read_at.eq(read_at + read),
            level.eq(level + write - read),
        ]
        if self.depth <= DISTRIBUTED:
            m.submodules.words = memory = Memory(shape=self.shape, depth=self.depth, init=[])
            write_port, read_port = memory.write_port(), memory.read_port(domain="comb")
            m.d.comb += [
                write_port.addr.eq(write_at),
                write_port.data.eq(self.i.payload),
                write_port.en.eq(write),
                read_port.addr.eq(read_at),
                self.o.payload.eq(read_port.data),
                self.o.valid.eq(level != 0),
                read.eq(self.o.valid & self.o.ready),
                self.empty.eq(~self.o.valid),
            ]
        else:
            m.submodules.ram = ram = BlockRam(self.shape, self.depth)
            valid = Signal()
            m.d.comb += [
                ram.write_addr.eq(write_at),
                ram.write_data.eq(self.i.payload),
                ram.write_en.eq(write),
                ram.read_addr.eq(read_at),
                # Not of what is written in the same cycle: it is not counted yet.
                ram.read_en.eq(read),
                read.eq((level != 0) & (~valid | self.o.ready)),
                self.o.payload.eq(ram.data),
                self.o.valid.eq(valid),
                self.empty.eq((level == 0) & ~valid),
            ]
            with m.If(read):
                m.d.sync += valid.eq(1)
            with m.Elif(self.o.ready):
                m.d.sync += valid.eq(0)

        return m
