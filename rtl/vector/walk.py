"""Address generator of one operand of the vector unit."""

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out


__all__ = ["Walk"]


class Walk(wiring.Component):
    """Generate the line addresses of one operand, repetition by repetition.

    The line after `start`, and after each `step`, is there in the next cycle.

    Parameters
    ----------
    width : :class:`int`
        Width of a line's number. Numbers wrap.

    Members
    -------
    start : :py:`In(1)`
        Go to the line `base`, where the first repetition begins.
    step : :py:`In(1)`
        Go to the next line: the one after, or the same with `fill`.
    wrap : :py:`In(1)`
        The step ends a repetition: go `stride` lines from where it began.
    base, stride : :py:`In(width)`
        Lines. `stride` is sampled with each step, so it may change after `start`.
    fill : :py:`In(1)`
        Stay on one line in a repetition.
    line : :py:`Out(width)`
        Line at hand.
    """

    def __init__(self, width):
        self.width = width
        super().__init__(
            {
                "start": In(1),
                "step": In(1),
                "wrap": In(1),
                "fill": In(1),
                "base": In(width),
                "stride": In(width),
                "line": Out(width),
            }
        )

    def elaborate(self, platform):
        m = Module()

        first = Signal(self.width, reset_less=True)
        line = Signal(self.width, reset_less=True)
        following = Signal(self.width)
        m.d.comb += [following.eq(first + self.stride), self.line.eq(line)]
        with m.If(self.start):
            m.d.sync += [first.eq(self.base), line.eq(self.base)]
        with m.Elif(self.step & self.wrap):
            m.d.sync += [first.eq(following), line.eq(following)]
        with m.Elif(self.step):
            m.d.sync += line.eq(line + ~self.fill)

        return m
