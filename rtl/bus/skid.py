"""Skid buffer: breaks the `ready` path of a stream."""

from amaranth import *
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out


__all__ = ["SkidBuffer"]


class SkidBuffer(wiring.Component):
    """Register `ready` of a stream.

    A payload that arrives while the output stalls waits in the buffer, and `i.ready` falls one
    cycle later. Between two pipelines, it keeps the enable of the second out of the first.

    Latency is zero; throughput is one payload per cycle. Backpressure is respected.

    Parameters
    ----------
    shape : shape-like
        Payload.

    Members
    -------
    i : :py:`In(stream.Signature(shape))`
        Stream. `ready` is a register.
    o : :py:`Out(stream.Signature(shape))`
        The same stream.
    """

    def __init__(self, shape):
        super().__init__({"i": In(stream.Signature(shape)), "o": Out(stream.Signature(shape))})

    def elaborate(self, platform):
        m = Module()

        held = Signal.like(self.i.payload, reset_less=True)
        holds = Signal()
        m.d.comb += [
            self.i.ready.eq(~holds),
            self.o.valid.eq(holds | self.i.valid),
            self.o.payload.eq(Mux(holds, Value.cast(held), Value.cast(self.i.payload))),
        ]
        with m.If(~holds):
            m.d.sync += held.eq(self.i.payload)
        m.d.sync += holds.eq(self.o.valid & ~self.o.ready)

        return m
