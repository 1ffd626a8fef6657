"""Splits a read request into bursts that memory accepts."""

from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ..spec.limits import MAX_BURST_UNITS, STREAM_BITS, UNIT_ADDRESS_BITS
from ..spec.payloads import ReadRequest


__all__ = ["Burst", "Splitter"]


# A burst of `units` units of 64 bytes.
Burst = data.StructLayout({"addr": UNIT_ADDRESS_BITS, "units": range(MAX_BURST_UNITS + 1)})


class Splitter(wiring.Component):
    """Check a request against the end of memory, and split it into bursts.

    Every burst but the first starts at a multiple of `units`, so none crosses 4 KB.

    Latency is four cycles; throughput is one burst every two cycles. The next request is checked
    while the current one is split, so that long requests follow each other without a gap.

    Parameters
    ----------
    units : :class:`int`
        Longest burst: a power of two from 1 to 64.

    Members
    -------
    i : :py:`In(stream.Signature(ReadRequest))`
        Requests. One of size zero is accepted, and yields no burst.
    o : :py:`Out(stream.Signature(Burst))`
        Bursts.
    limit : :py:`In(32)`
        Units of DRAM that may be addressed.
    fault : :py:`Out(1)`
        The request at `i` reaches beyond `limit`. It is never accepted.
    """

    def __init__(self, units):
        if not isinstance(units, int) or not 1 <= units <= MAX_BURST_UNITS or units & (units - 1):
            raise ValueError(
                f"Burst must be a power of two from 1 to {MAX_BURST_UNITS} units, not {units!r}"
            )
        self.units = units
        super().__init__(
            {
                "i": In(stream.Signature(ReadRequest)),
                "o": Out(stream.Signature(Burst)),
                "limit": In(32),
                "fault": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()

        end = Signal(UNIT_ADDRESS_BITS + 1, reset_less=True)
        addr = Signal(UNIT_ADDRESS_BITS, reset_less=True)
        left = Signal(STREAM_BITS, reset_less=True)
        size = Signal.like(self.o.payload.units, reset_less=True)
        active = Signal()
        sized = Signal()
        offset = addr[: (self.units - 1).bit_length()]

        # Only a request in sight of the end of DRAM can fail, and the verdict takes two cycles:
        # a 33-bit sum, then a comparison.
        with m.FSM(name="check"):
            with m.State("SUM"):
                m.d.sync += end.eq(self.i.payload.addr + self.i.payload.size)
                with m.If(self.i.valid):
                    m.next = "COMPARE"
            with m.State("COMPARE"):
                m.d.sync += self.fault.eq(end > self.limit)
                m.next = "PASS"
            with m.State("PASS"):
                m.d.comb += self.i.ready.eq(~self.fault & ~active)
                with m.If(self.i.ready):
                    m.d.sync += [
                        addr.eq(self.i.payload.addr),
                        left.eq(self.i.payload.size),
                        active.eq(self.i.payload.size != 0),
                        sized.eq(0),
                    ]
                    m.next = "SUM"

        with m.If(self.o.ready):
            m.d.sync += self.o.valid.eq(0)

        to_boundary = Signal.like(size)
        m.d.comb += to_boundary.eq(self.units - offset)
        with m.If(active & ~sized):
            m.d.sync += [
                size.eq(Mux(left > to_boundary, to_boundary, left)),
                sized.eq(1),
            ]
        with m.Elif(active & (~self.o.valid | self.o.ready)):
            m.d.sync += [
                self.o.valid.eq(1),
                self.o.payload.addr.eq(addr),
                self.o.payload.units.eq(size),
                addr.eq(addr + size),
                left.eq(left - size),
                active.eq(left != size),
                sized.eq(0),
            ]

        return m
