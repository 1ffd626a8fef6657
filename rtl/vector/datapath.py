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

    Nothing stalls, and any function may follow any other. Latency is that of
    :class:`~rtl.vector.lane.Lane`. A dot product comes 3 cycles (the multiplier's, less one) and
    those of :class:`~rtl.vector.reduce.Reduce` after its last line.

    Parameters
    ----------
    config : :class:`~rtl.spec.config.Config`

    Members
    -------
    i : :py:`In(stream.Signature(data.StructLayout({…}), always_ready=True))`
        Function `func`, operands `a`, `b` and `c` (:py:`data.ArrayLayout(32, lanes)`), the result's
        `line`, and whether it is the instruction's `first` or `last` one. DOT: `last` line of the
        sum. After it, nothing may come while a result is `pending`.
    o : :py:`Out(stream.Signature(vector_write(config), always_ready=True))`
        Results, with all words selected.
    written : :py:`Out(1)`
        A result that is no dot product is at `o`.
    first, last : :py:`Out(1)`
        It is the instruction's first or last one.
    pending : :py:`Out(1)`
        A result will come in a later cycle.
    """

    def __init__(self, config):
        self.config = config
        self.lanes = config.lanes
        words = data.ArrayLayout(32, config.lanes)
        write = vector_write(config)
        super().__init__(
            {
                "i": In(
                    stream.Signature(
                        data.StructLayout(
                            {
                                "func": Func,
                                "a": words,
                                "b": words,
                                "c": words,
                                "line": write["line"].shape,
                                "first": 1,
                                "last": 1,
                            }
                        ),
                        always_ready=True,
                    )
                ),
                "o": Out(stream.Signature(write, always_ready=True)),
                **dict.fromkeys(("written", "first", "last", "pending"), Out(1)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.reduce = reduce = Reduce(self.lanes)

        line = self.o.p.line.shape()
        layout = data.StructLayout({"valid": 1, "dot": 1, "line": line, "first": 1, "last": 1})
        tags = [Signal(layout, name=f"tag{n}") for n in range(Lane.LATENCY + 1)]
        m.d.comb += [
            tags[0].valid.eq(self.i.valid),
            tags[0].dot.eq(self.i.p.func == Func.DOT),
            *[tags[0][name].eq(self.i.p[name]) for name in ("line", "first", "last")],
        ]
        for before, after in zip(tags, tags[1:]):
            m.d.sync += after.eq(before)

        for n in range(self.lanes):
            m.submodules[f"lane{n}"] = lane = Lane()
            m.d.comb += [
                lane.func.eq(self.i.p.func),
                lane.a.eq(self.i.p.a[n]),
                lane.b.eq(self.i.p.b[n]),
                lane.c.eq(self.i.p.c[n]),
                lane.x.eq(reduce.x[n]),
                lane.y.eq(reduce.y[n]),
                lane.fold.eq(reduce.fold),
                reduce.sum[n].eq(lane.o),
            ]

        coming, product = tags[FpMul.LATENCY - 1 : FpMul.LATENCY + 1]
        total_line = Signal(line, reset_less=True)
        with m.If(product.valid & product.dot):
            m.d.sync += total_line.eq(product.line)
        out = tags[-1]
        m.d.comb += [
            reduce.i.valid.eq(coming.valid & coming.dot),
            reduce.i.p.last.eq(coming.last),
            self.pending.eq(Cat(tag.valid for tag in tags[:-1]).any() | reduce.busy & ~reduce.done),
            self.written.eq(out.valid & ~out.dot),
            self.first.eq(out.first),
            self.last.eq(out.last),
            self.o.valid.eq(self.written | reduce.done),
            self.o.p.mask.eq(~0),
            self.o.p.line.eq(Mux(reduce.done, total_line, out.line)),
            self.o.p.data.eq(reduce.sum),
        ]

        return m
