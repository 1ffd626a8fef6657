"""Counters of where the cycles go."""

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..spec.csr import COUNTERS


__all__ = ["EVENTS", "Counters"]


EVENTS = len(COUNTERS)


class Counters(wiring.Component):
    """Count cycles in which events happen, 32 bits each.

    Latency is one cycle from an event to its count, and one from `index` to `word`.

    Members
    -------
    events : :py:`In(EVENTS)`
        Event of each of :data:`~rtl.spec.csr.COUNTERS`, in their order.
    clear, enable : :py:`In(1)`
        Begin at zero; count.
    index, word : :py:`In(range(EVENTS)), Out(32)`
        Count at the `index` of the cycle before.
    """

    def __init__(self):
        super().__init__(
            {
                "events": In(EVENTS),
                "clear": In(1),
                "enable": In(1),
                "index": In(range(EVENTS)),
                "word": Out(32),
            }
        )

    def elaborate(self, platform):
        m = Module()

        counts = Array(Signal(32, name=name) for name in COUNTERS)
        for count, event in zip(counts, self.events):
            with m.If(self.clear):
                m.d.sync += count.eq(0)
            with m.Elif(self.enable & event):
                m.d.sync += count.eq(count + 1)
        m.d.sync += self.word.eq(Mux(self.index < EVENTS, counts[self.index], 0))

        return m
