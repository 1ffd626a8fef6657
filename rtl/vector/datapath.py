"""Datapath of the vector unit: its lanes, in lockstep."""

from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ..fp.mul import FpMul
from ..spec.isa import Func
from ..spec.payloads import vector_write
from .lane import Lane
from .reduce import Reduce


__all__ = ["Datapath"]


class Datapath(wiring.Component):
    """Compute one line of results per cycle, or accumulate one line of a dot product.

    Nothing stalls. Latency is that of :class:`~rtl.vector.lane.Lane`: 2 cycles for the functions
    from CLAMP on, 8 for MADD and NMADD. A dot product comes 3 cycles (the multiplier's, less one)
    and those of :class:`~rtl.vector.reduce.Reduce` after its last line.

    Parameters
    ----------
    config : :class:`~rtl.spec.config.Config`

    Members
    -------
    func : :py:`In(Func)`
        Function. May only change while nothing is `pending` or on its way in.
    i : :py:`In(stream.Signature(data.StructLayout({…}), always_ready=True))`
        Operands `a`, `b` and `c` (:py:`data.ArrayLayout(32, lanes)`), the result's `line`, and
        `last`: DOT: last line of the sum. After it, nothing may come while a result is `pending`.
    o : :py:`Out(stream.Signature(vector_write(config), always_ready=True))`
        Results, with all words selected.
    pending : :py:`Out(1)`
        A result will come in a later cycle.
    """

    def __init__(self, config):
        self.config = config
        self.lanes = config.lanes
        words = data.ArrayLayout(32, config.lanes)
        write = vector_write(config)
        self.tag = data.StructLayout({"valid": 1, "line": write["line"].shape, "last": 1})
        super().__init__(
            {
                "func": In(Func),
                "i": In(
                    stream.Signature(
                        data.StructLayout(
                            {
                                "a": words,
                                "b": words,
                                "c": words,
                                "line": write["line"].shape,
                                "last": 1,
                            }
                        ),
                        always_ready=True,
                    )
                ),
                "o": Out(stream.Signature(write, always_ready=True)),
                "pending": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.reduce = reduce = Reduce(self.lanes)

        tags = [Signal(self.tag, name=f"tag{n}") for n in range(Lane.SUM_LATENCY + 1)]
        m.d.comb += [
            tags[0].valid.eq(self.i.valid),
            tags[0].line.eq(self.i.p.line),
            tags[0].last.eq(self.i.p.last),
        ]
        for before, after in zip(tags, tags[1:]):
            m.d.sync += after.eq(before)
        # A simple function is over before its tags would be, and the next may look at them later.
        with m.If(Value.cast(self.func) >= Func.CLAMP.value):
            m.d.sync += tags[Lane.SIMPLE_LATENCY + 1].valid.eq(0)

        simple = Signal(data.ArrayLayout(32, self.lanes))
        for n in range(self.lanes):
            m.submodules[f"lane{n}"] = lane = Lane()
            m.d.comb += [
                lane.func.eq(self.func),
                lane.a.eq(self.i.p.a[n]),
                lane.b.eq(self.i.p.b[n]),
                lane.c.eq(self.i.p.c[n]),
                lane.x.eq(reduce.x[n]),
                lane.y.eq(reduce.y[n]),
                lane.fold.eq(reduce.fold),
                reduce.sum[n].eq(lane.sum),
                simple[n].eq(lane.simple),
            ]

        def pending(until):
            """Elements have entered, but are not at the stage `until` yet."""
            return Cat(tag.valid for tag in tags[:until]).any()

        total_line = Signal.like(tags[0].line, reset_less=True)
        line = Signal.like(total_line)
        values = Signal.like(simple)
        # Outside the switch: Verilator never executes what yosys makes of a constant within it.
        m.d.comb += [self.o.p.mask.eq(~0), self.o.p.line.eq(line), self.o.p.data.eq(values)]
        with m.Switch(self.func):
            with m.Case(Func.DOT):
                coming, product = tags[FpMul.LATENCY - 1 : FpMul.LATENCY + 1]
                with m.If(product.valid):
                    m.d.sync += total_line.eq(product.line)
                m.d.comb += [
                    reduce.i.valid.eq(coming.valid),
                    reduce.i.p.last.eq(coming.last),
                    self.pending.eq(pending(FpMul.LATENCY + 1) | reduce.busy & ~reduce.done),
                    self.o.valid.eq(reduce.done),
                    line.eq(total_line),
                    values.eq(reduce.sum),
                ]
            with m.Case(Func.MADD, Func.NMADD):
                m.d.comb += [
                    self.pending.eq(pending(Lane.SUM_LATENCY)),
                    self.o.valid.eq(tags[Lane.SUM_LATENCY].valid),
                    line.eq(tags[Lane.SUM_LATENCY].line),
                    values.eq(reduce.sum),
                ]
            with m.Default():
                m.d.comb += [
                    self.pending.eq(pending(Lane.SIMPLE_LATENCY)),
                    self.o.valid.eq(tags[Lane.SIMPLE_LATENCY].valid),
                    line.eq(tags[Lane.SIMPLE_LATENCY].line),
                    values.eq(simple),
                ]

        return m
