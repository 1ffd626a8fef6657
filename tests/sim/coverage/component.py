"""A small component with every kind of branch."""

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out


class Small(wiring.Component):
    """Counts by `step`, which may be anything but 3."""

    step: In(2)
    clear: In(1)
    total: Out(4)

    def elaborate(self, platform):
        m = Module()
        double = Signal(3)
        with m.If(self.clear):
            m.d.sync += self.total.eq(0)
        with m.Elif(self.step[0]):
            m.d.sync += self.total.eq(self.total + 1)
        with m.Switch(self.step):
            with m.Case(0, 1):
                m.d.comb += double.eq(self.step << 1)
            with m.Case(3):
                m.d.comb += double.eq(7)
        return m
