"""Memory writer: writes lines to DRAM, without waiting for responses."""

from amaranth import *
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from ..bus.axi import INCR, AXI4Write
from ..spec.config import UNIT_BYTES
from ..spec.csr import FaultCode
from ..spec.limits import MAX_OUTSTANDING
from ..spec.payloads import WriteLine
from .reader import ADDR_WIDTH, ID_WIDTH


__all__ = ["MemoryWriter"]


class MemoryWriter(wiring.Component):
    """Write lines of 64 bytes, one AXI4 burst each, without waiting for the responses.

    Latency is three cycles from a line to `awvalid`. Throughput is one line every
    `config.unit_beats + 3` cycles, with up to 15 responses outstanding.

    Parameters
    ----------
    config : :class:`~rtl.spec.config.Config`
        Configuration.

    Members
    -------
    line : :py:`In(stream.Signature(WriteLine))`
        Lines. Bytes whose strobe is clear keep their value.
    axi : :py:`Out(AXI4Write(40, config.beat_bits, 4))`
        Memory.
    first, end, limit : :py:`In(32)`
        Units of DRAM that may be written, `end` and what follows not, and that may be addressed.
    halt : :py:`In(1)`
        Accept nothing more.
    written : :py:`Out(1)`
        Memory has confirmed every line accepted; goes low in the cycle after acceptance.
    idle : :py:`Out(1)`
        Nothing is outstanding: a reset does no harm once this holds four cycles after `halt`.
    beat : :py:`Out(1)`
        Memory confirmed a line.
    fault : :py:`Out(1)`
        A line, which is not written then, lies outside of what may be written, or memory answered
        with an error.
        Held until reset, with the two below.
    fault_code : :py:`Out(FaultCode)`
        ADDRESS or BUS.
    fault_info : :py:`Out(32)`
        Unit of the refused line, or the AXI response.
    """

    def __init__(self, config):
        self.config = config
        super().__init__(
            {
                "line": In(stream.Signature(WriteLine)),
                "axi": Out(AXI4Write(ADDR_WIDTH, config.beat_bits, ID_WIDTH)),
                "first": In(32),
                "end": In(32),
                "limit": In(32),
                "halt": In(1),
                "written": Out(1),
                "idle": Out(1),
                "beat": Out(1),
                "fault": Out(1),
                "fault_code": Out(8),
                "fault_info": Out(32),
            }
        )

    def elaborate(self, platform):
        m = Module()
        axi, beats, beat_bytes = self.axi, self.config.unit_beats, self.config.beat_bytes

        held = Signal(WriteLine, reset_less=True)
        unconfirmed = Signal(range(MAX_OUTSTANDING + 1))
        accepted, confirmed, refused = Signal(), Signal(), Signal()
        left = Signal(range(beats + 1))

        m.d.comb += [
            axi.awlen.eq(beats - 1),
            axi.awsize.eq((beat_bytes - 1).bit_length()),
            axi.awburst.eq(INCR),
            axi.bready.eq(1),
            axi.wdata.eq(held.data[: beat_bytes * 8]),
            axi.wstrb.eq(held.strobe[:beat_bytes]),
            axi.wlast.eq(left == 1),
            axi.wvalid.eq(left != 0),
            accepted.eq(self.line.valid & self.line.ready),
            self.beat.eq(confirmed),
            self.written.eq(unconfirmed == 0),
            # A refused line stays unconfirmed.
            self.idle.eq(unconfirmed == refused),
        ]
        m.d.sync += [
            confirmed.eq(axi.bvalid),
            unconfirmed.eq(unconfirmed + accepted - confirmed),
        ]
        with m.If(axi.awready):
            m.d.sync += axi.awvalid.eq(0)
        with m.If(axi.wvalid & axi.wready):
            m.d.sync += left.eq(left - 1)
            if beats > 1:
                m.d.sync += [
                    held.data.eq(held.data >> beat_bytes * 8),
                    held.strobe.eq(held.strobe >> beat_bytes),
                ]

        with m.FSM():
            with m.State("ACCEPT"):
                m.d.comb += self.line.ready.eq((unconfirmed != MAX_OUTSTANDING) & ~self.halt)
                m.d.sync += held.eq(self.line.payload)
                with m.If(accepted):
                    m.next = "CHECK"
            with m.State("CHECK"):
                with m.If(
                    (held.addr >= self.first) & (held.addr < self.end) & (held.addr < self.limit)
                ):
                    m.d.sync += [
                        axi.awvalid.eq(1),
                        axi.awaddr.eq(held.addr << UNIT_BYTES.bit_length() - 1),
                        left.eq(beats),
                    ]
                    m.next = "SEND"
                with m.Else():
                    m.next = "REFUSED"
            with m.State("SEND"):
                with m.If(
                    (~axi.awvalid | axi.awready) & ((left == 0) | ((left == 1) & axi.wready))
                ):
                    m.next = "ACCEPT"
            with m.State("REFUSED"):
                m.d.comb += refused.eq(1)
                with m.If(~self.fault):
                    m.d.sync += [
                        self.fault.eq(1),
                        self.fault_code.eq(FaultCode.ADDRESS),
                        self.fault_info.eq(held.addr),
                    ]

        with m.If(axi.bvalid & axi.bresp[1] & ~self.fault):
            m.d.sync += [
                self.fault.eq(1),
                self.fault_code.eq(FaultCode.BUS),
                self.fault_info.eq(axi.bresp),
            ]

        return m
