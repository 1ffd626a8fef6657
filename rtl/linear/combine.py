"""Write combining."""

from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ..bus.skid import SkidBuffer
from ..spec.config import Config
from ..spec.payloads import vector_write


__all__ = ["WordWrite", "Combiner"]


# An fp32 word for the vector memory. `last` flushes the line.
WordWrite = data.StructLayout({"addr": 18, "data": 32, "last": 1})


class Combiner(wiring.Component):
    """Combine writes of single words that fall into one line of the vector memory.

    Neighbours in the stream that belong to the same line become one write. A line leaves when a
    word of another comes, or after its `last` word. A word written twice keeps the later value.

    Latency is two cycles from the word that ends a line; throughput is one word per cycle.
    Backpressure is respected.

    Parameters
    ----------
    config : :class:`~rtl.spec.config.Config`
        Its `lanes` and `vector_words` are used.

    Members
    -------
    i : :py:`In(stream.Signature(WordWrite))`
        Words. Addresses wrap at the end of the memory.
    o : :py:`Out(stream.Signature(vector_write(config)))`
        Lines.
    busy : :py:`Out(1)`
        A word that was taken has not been written yet.
    done : :py:`Out(1)`
        A line is taken in this cycle that a `last` word ends.
    """

    def __init__(self, config):
        if not isinstance(config, Config):
            raise TypeError(f"Configuration must be a Config, not {config!r}")
        self.config = config
        super().__init__(
            {
                "i": In(stream.Signature(WordWrite)),
                "o": Out(stream.Signature(vector_write(config))),
                "busy": Out(1),
                "done": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        lane_bits = (self.config.lanes - 1).bit_length()

        # Skid buffer: the vector memory's `ready` arrives late, and would reach the pipeline's
        # enable.
        shape = data.StructLayout({"line": self.o.payload.shape(), "last": 1})
        m.submodules.skid = skid = SkidBuffer(shape)
        out = skid.i

        line = Signal.like(self.o.payload, reset_less=True)
        held = Signal()  # `line` has words
        ends = Signal()  # `line` has its last word

        free = Signal()  # the output can take a line
        same = Signal()  # the word at the input belongs to `line`
        m.d.comb += [
            self.o.valid.eq(skid.o.valid),
            self.o.payload.eq(skid.o.p.line),
            skid.o.ready.eq(self.o.ready),
            self.done.eq(self.o.valid & self.o.ready & skid.o.p.last),
            free.eq(out.ready | ~out.valid),
            same.eq(held & ~ends & (self.i.p.addr[lane_bits:][: len(line.line)] == line.line)),
            self.i.ready.eq(free),
            self.busy.eq(held | self.o.valid),
        ]

        with m.If(free):
            m.d.sync += [
                out.valid.eq(held & (ends | (self.i.valid & ~same))),
                out.p.line.eq(line),
                out.p.last.eq(ends),
            ]
            with m.If(self.i.valid):
                m.d.sync += [
                    held.eq(1),
                    ends.eq(self.i.p.last),
                    line.line.eq(self.i.p.addr[lane_bits:]),
                ]
                for lane in range(self.config.lanes):
                    here = self.i.p.addr[:lane_bits] == lane
                    m.d.sync += line.mask[lane].eq(here | (same & line.mask[lane]))
                    with m.If(here):
                        m.d.sync += line.data[lane].eq(self.i.p.data)
            with m.Elif(ends):
                m.d.sync += held.eq(0)
                m.d.sync += ends.eq(0)

        return m
