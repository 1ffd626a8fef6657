"""Interlock of the vector unit: what an instruction reads waits for the one before to write it."""

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out


__all__ = ["Interlock"]


class Interlock(wiring.Component):
    """Hold reads of lines that the instruction before has yet to write.

    Results come in the order of their steps, and rise with them. So those that are missing lie
    behind the one written last, up to the one of the last step: a read in between has to wait.

    An instruction may begin as soon as the first result of the one before is written. Then only
    that one has results to come. Where they do not rise, it begins when all can be read.

    Parameters
    ----------
    width : :class:`int`
        Width of a line's number.

    Members
    -------
    start : :py:`In(1)`
        An instruction begins. Only with `ready`.
    results : :py:`In(1)`
        Of the instruction that begins: results are written step by step. One without is
        complete before the next begins.
    rising : :py:`In(1)`
        Of the instruction at hand: each result's line lies behind the one before.
    step : :py:`In(1)`
        Of an instruction with `results`: one goes to `line`.
    line : :py:`In(width)`
        Line of the result. Sampled with `step`.
    written : :py:`In(1)`
        A result is written, and can be read two cycles later.
    first, last : :py:`In(1)`
        It is the instruction's first or last one.
    at : :py:`In(width)`
        Its line.
    in_flight : :py:`In(1)`
        Results are yet to be written.
    lines : :py:`In(width).array(3)`
        Lines of the operands of this cycle.
    reads : :py:`In(3)`
        Operands that are read.
    ready : :py:`Out(1)`
        The next instruction may begin.
    hold : :py:`Out(1)`
        One of them cannot be read yet.
    """

    def __init__(self, width):
        self.width = width
        super().__init__(
            {
                **dict.fromkeys(("start", "results", "rising", "step"), In(1)),
                "line": In(width),
                **dict.fromkeys(("written", "first", "last", "in_flight"), In(1)),
                "at": In(width),
                "lines": In(width).array(3),
                "reads": In(3),
                **dict.fromkeys(("ready", "hold"), Out(1)),
            }
        )

    def elaborate(self, platform):
        m = Module()

        # Of the instruction at hand.
        begun, complete = Signal(init=1), Signal(init=1)
        newest = Signal(self.width, reset_less=True)
        # Of the one before, whose results are yet to come from behind `front` to `end`.
        draining = Signal()
        front, end = (Signal(self.width, name=name, reset_less=True) for name in ("front", "end"))

        # A line can be read in the cycle after the memory has it.
        in_memory, is_last = Signal(), Signal(reset_less=True)
        at = Signal(self.width, reset_less=True)
        m.d.sync += [in_memory.eq(self.written), is_last.eq(self.last), at.eq(self.at)]
        ends = in_memory & is_last

        with m.If(self.written & self.first):
            m.d.sync += begun.eq(1)
        with m.If(in_memory):
            m.d.sync += front.eq(at)
        with m.If(ends):
            m.d.sync += draining.eq(0)
            with m.If(~draining):
                m.d.sync += complete.eq(1)
        with m.If(self.step):
            m.d.sync += newest.eq(self.line)
        with m.If(self.start):
            m.d.sync += [
                begun.eq(~self.results),
                complete.eq(~self.results),
                draining.eq(~complete & ~ends),
                end.eq(newest),
            ]

        missing = Cat((line > front) & (line <= end) for line in self.lines)
        m.d.comb += [
            self.ready.eq(begun & (self.rising | ~self.in_flight)),
            self.hold.eq(draining & (missing & self.reads).any()),
        ]

        return m
