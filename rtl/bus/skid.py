"""A place where a stream's `ready` starts anew."""

from amaranth import *
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out


__all__ = ["SkidBuffer"]


class SkidBuffer(wiring.Component):
    """Cut the path of `ready` through a stream.

    A payload that comes while the way ahead is closed waits in here, and only then those behind it are
    told. Between two pipelines it spares the first the second's enables.

    Latency is none; throughput is one payload per cycle. Backpressure is respected.

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
