"""Consistent overhead byte stuffing: packets as frames with no zero but their terminator.

Cheshire and Baker, "Consistent Overhead Byte Stuffing", IEEE/ACM Transactions on Networking 7(2),
1999.
"""

from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out


__all__ = ["DECODED", "PACKET", "CobsDecoder", "CobsEncoder"]


BLOCK = 254  # bytes that follow one code byte at most

# A byte of a packet; or, when `end` is set, its end: `good` says whether the frame was well formed.
DECODED = data.StructLayout({"byte": 8, "end": 1, "good": 1})

# A byte of a packet.
PACKET = data.StructLayout({"byte": 8, "last": 1})


class CobsDecoder(wiring.Component):
    """Undo the stuffing of frames.

    The byte after a zero begins a frame, whatever came before. Repeated zeros are ignored.

    Latency is one cycle. Throughput is one byte per cycle; there is at most one payload per byte.

    Members
    -------
    i : :py:`In(stream.Signature(8))`
        Bytes from the line.
    o : :py:`Out(stream.Signature(DECODED))`
        Packets.
    """

    def __init__(self):
        super().__init__({"i": In(stream.Signature(8)), "o": Out(stream.Signature(DECODED))})

    def elaborate(self, platform):
        m = Module()
        byte = self.i.payload

        begun = Signal()
        left = Signal(8)  # bytes before the next code byte
        implied = Signal()  # a zero stood where that is
        m.d.comb += self.i.ready.eq(~self.o.valid | self.o.ready)
        with m.If(self.i.ready):
            m.d.sync += [
                self.o.valid.eq(0),
                self.o.payload.byte.eq(Mux(left == 0, 0, byte)),
                self.o.payload.end.eq(byte == 0),
                self.o.payload.good.eq(left == 0),
            ]
            with m.If(self.i.valid):
                m.d.sync += begun.eq(1)
                with m.If(byte == 0):
                    m.d.sync += [self.o.valid.eq(begun), begun.eq(0), left.eq(0), implied.eq(0)]
                with m.Elif(left == 0):
                    m.d.sync += [
                        self.o.valid.eq(implied),
                        left.eq(byte - 1),
                        implied.eq(byte != BLOCK + 1),
                    ]
                with m.Else():
                    m.d.sync += [self.o.valid.eq(1), left.eq(left - 1)]

        return m


class CobsEncoder(wiring.Component):
    """Make frames of packets.

    A code byte says where the next zero is, so up to 254 bytes are gathered before they leave.

    Latency is two cycles from the last byte of a block. Throughput is a block of n bytes every 2 n
    + 3 cycles.

    Members
    -------
    i : :py:`In(stream.Signature(PACKET))`
        Packets of at least one byte.
    o : :py:`Out(stream.Signature(8))`
        Frames, each with the zero behind it.
    """

    def __init__(self):
        super().__init__({"i": In(stream.Signature(PACKET)), "o": Out(stream.Signature(8))})

    def elaborate(self, platform):
        m = Module()
        byte, last = self.i.payload.byte, self.i.payload.last

        m.submodules.memory = memory = Memory(shape=8, depth=BLOCK, init=[])
        write, read = memory.write_port(), memory.read_port()
        count = Signal(range(BLOCK + 1))
        at = Signal(range(BLOCK + 1), reset_less=True)
        tail = Signal()  # an empty block follows, for the zero that the packet ends with
        finish = Signal()  # the packet ends with this block

        m.d.comb += [write.addr.eq(count), write.data.eq(byte)]
        with m.FSM():
            with m.State("FILL"):
                m.d.comb += self.i.ready.eq(1)
                with m.If(self.i.valid):
                    with m.If(byte == 0):
                        m.d.sync += tail.eq(last)
                        m.next = "CODE"
                    with m.Else():
                        m.d.comb += write.en.eq(1)
                        m.d.sync += [count.eq(count + 1), finish.eq(last)]
                        with m.If(last | (count == BLOCK - 1)):
                            m.next = "CODE"
            with m.State("CODE"):
                m.d.comb += [self.o.valid.eq(1), self.o.payload.eq(count + 1)]
                m.d.sync += at.eq(0)
                with m.If(self.o.ready):
                    with m.If(count == 0):
                        m.next = "BLOCK"
                    with m.Else():
                        m.next = "BYTES"
            with m.State("BYTES"):
                m.d.comb += [self.o.valid.eq(1), self.o.payload.eq(read.data)]
                with m.If(self.o.ready):
                    m.d.comb += read.addr.eq(at + 1)
                    m.d.sync += at.eq(at + 1)
                    with m.If(at == count - 1):
                        m.next = "BLOCK"
                with m.Else():
                    m.d.comb += read.addr.eq(at)
            with m.State("BLOCK"):
                m.d.sync += [count.eq(0), tail.eq(0), finish.eq(tail)]
                with m.If(finish):
                    m.next = "END"
                with m.Elif(tail):
                    m.next = "CODE"
                with m.Else():
                    m.next = "FILL"
            with m.State("END"):
                m.d.comb += self.o.valid.eq(1)
                with m.If(self.o.ready):
                    m.next = "FILL"

        return m
