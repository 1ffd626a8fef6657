"""Stream unit: requests packed weights ahead of their use."""

from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ..spec.isa import Stream
from ..spec.payloads import Dispatched, ReadRequest


__all__ = ["StreamUnit"]


class StreamUnit(wiring.Component):
    """Execute :class:`~rtl.spec.isa.Stream`: pass the request on; its beats go to the linear unit.

    Latency is one cycle; throughput is one request every two cycles.

    Members
    -------
    insn : :py:`In(stream.Signature(Dispatched))`
        Instructions.
    busy : :py:`Out(1)`
        The memory reader has yet to accept the request. The weights themselves may come later.
    req : :py:`Out(stream.Signature(ReadRequest))`
        Requests to the memory reader.
    """

    def __init__(self):
        super().__init__(
            {
                "insn": In(stream.Signature(Dispatched)),
                "busy": Out(1),
                "req": Out(stream.Signature(ReadRequest)),
            }
        )

    def elaborate(self, platform):
        m = Module()

        insn = data.View(Stream.layout, self.insn.payload.word[: Stream.layout.size])
        m.d.comb += [
            self.busy.eq(self.req.valid),
            self.insn.ready.eq(~self.req.valid),
        ]
        with m.If(self.insn.ready):
            m.d.sync += [
                self.req.valid.eq(self.insn.valid),
                self.req.payload.addr.eq(insn.addr),
                self.req.payload.size.eq(insn.size),
            ]
        with m.Elif(self.req.ready):
            m.d.sync += self.req.valid.eq(0)

        return m
