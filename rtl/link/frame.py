"""Packet receiver and transmitter: checksums, and slots for requests that wait."""

from amaranth import *
from amaranth.lib import stream, wiring
from amaranth.lib.crc.catalog import CRC32_ETHERNET
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from ..spec.protocol import CRC_BYTES, HEADER_BYTES, MAX_REQUEST
from .cobs import DECODED, PACKET


__all__ = ["SLOT", "FrameReceiver", "FrameTransmitter"]


SLOT = 1 << (MAX_REQUEST + CRC_BYTES - 1).bit_length()  # bytes of memory that a packet has


class FrameReceiver(wiring.Component):
    """Keep packets whose checksum is right. All others are dropped silently.

    A packet is also dropped when it is too long or too short, or when all slots are taken.

    Takes a payload per cycle, and never waits. A packet shows a cycle after its end came.

    Parameters
    ----------
    slots : :class:`int`
        Packets that may wait: a power of two, at least 2.

    Members
    -------
    i : :py:`In(stream.Signature(DECODED))`
        Packets from the line.
    packet : :py:`Out(stream.Signature(range(MAX_REQUEST + 1)))`
        Size, without its checksum, of the packet that came first. Its slot is free once this is
        taken.
    addr, byte : :py:`In(range(SLOT)), Out(8)`
        The byte of that packet at the `addr` of the cycle before.
    """

    def __init__(self, slots=4):
        if not isinstance(slots, int) or slots < 2 or slots & (slots - 1):
            raise ValueError(f"Slots must be a power of two of at least 2, not {slots!r}")
        self.slots = slots
        super().__init__(
            {
                "i": In(stream.Signature(DECODED)),
                "packet": Out(stream.Signature(range(MAX_REQUEST + 1))),
                "addr": In(range(SLOT)),
                "byte": Out(8),
            }
        )

    def elaborate(self, platform):
        m = Module()
        item = self.i.payload

        m.submodules.memory = memory = Memory(shape=8, depth=self.slots * SLOT, init=[])
        write, read = memory.write_port(), memory.read_port()
        m.submodules.crc = crc = CRC32_ETHERNET().create()
        sizes = Array(
            Signal(range(MAX_REQUEST + 1), reset_less=True, name=f"size{n}")
            for n in range(self.slots)
        )
        first, next = Signal(range(self.slots)), Signal(range(self.slots))
        taken = Signal(range(self.slots + 1))

        size = Signal(range(SLOT))
        bad = Signal()
        arrived, accepted = Signal(), Signal()
        room = Signal()
        m.d.comb += [
            room.eq((taken != self.slots) & (size != MAX_REQUEST + CRC_BYTES)),
            self.i.ready.eq(1),
            write.addr.eq(Cat(size, next)),
            write.data.eq(item.byte),
            write.en.eq(self.i.valid & ~item.end & room & ~bad),
            crc.data.eq(item.byte),
            crc.valid.eq(self.i.valid & ~item.end),
            crc.start.eq(self.i.valid & item.end),
            read.addr.eq(Cat(self.addr, first)),
            self.byte.eq(read.data),
            self.packet.valid.eq(taken != 0),
            self.packet.payload.eq(sizes[first]),
            accepted.eq(self.packet.valid & self.packet.ready),
        ]
        with m.If(self.i.valid):
            with m.If(item.end):
                m.d.sync += [size.eq(0), bad.eq(0)]
                m.d.comb += arrived.eq(
                    item.good & ~bad & crc.match_detected & (size >= HEADER_BYTES + CRC_BYTES)
                )
            with m.Elif(room):
                m.d.sync += size.eq(size + 1)
            with m.Else():
                m.d.sync += bad.eq(1)
        with m.If(arrived):
            m.d.sync += [sizes[next].eq(size - CRC_BYTES), next.eq(next + 1)]
        with m.If(accepted):
            m.d.sync += first.eq(first + 1)
        m.d.sync += taken.eq(taken + arrived - accepted)

        return m


class FrameTransmitter(wiring.Component):
    """Put the checksum behind packets.

    Latency is zero; throughput is a byte per cycle.

    Members
    -------
    i : :py:`In(stream.Signature(PACKET))`
        Packets of at least one byte.
    o : :py:`Out(stream.Signature(PACKET))`
        The same, four bytes longer.
    """

    def __init__(self):
        super().__init__({"i": In(stream.Signature(PACKET)), "o": Out(stream.Signature(PACKET))})

    def elaborate(self, platform):
        m = Module()

        m.submodules.crc = crc = CRC32_ETHERNET().create()
        summed = Signal()  # all of the packet has passed
        at = Signal(range(CRC_BYTES))
        m.d.comb += crc.data.eq(self.i.payload.byte)
        with m.If(~summed):
            m.d.comb += [
                self.o.payload.byte.eq(self.i.payload.byte),
                self.o.valid.eq(self.i.valid),
                self.i.ready.eq(self.o.ready),
                crc.valid.eq(self.i.valid & self.o.ready),
            ]
            with m.If(crc.valid):
                m.d.sync += summed.eq(self.i.payload.last)
        with m.Else():
            m.d.comb += [
                self.o.payload.byte.eq(crc.crc.word_select(at, 8)),
                self.o.payload.last.eq(at == CRC_BYTES - 1),
                self.o.valid.eq(1),
            ]
            with m.If(self.o.ready):
                m.d.sync += at.eq(at + 1)
                with m.If(self.o.payload.last):
                    m.d.comb += crc.start.eq(1)
                    m.d.sync += summed.eq(0)

        return m
