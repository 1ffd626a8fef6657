"""Vector memory: on-chip fp32 words, read by the vector unit and written by all."""

from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ..bus.ram import BlockRam
from ..spec.payloads import vector_write


__all__ = ["VectorMemory", "VectorRead"]


class VectorRead(wiring.Signature):
    """Read port of the vector memory, as its user sees it.

    Members
    -------
    line : :py:`Out(…)`
        Line to read.
    en : :py:`Out(1)`
        Read it. Without, `data` keeps its value.
    data : :py:`In(data.ArrayLayout(32, lanes))`
        Words of the line, from the next cycle on.
    """

    def __init__(self, config):
        super().__init__(
            {
                "line": Out(vector_write(config)["line"].shape),
                "en": Out(1),
                "data": In(data.ArrayLayout(32, config.lanes)),
            }
        )


class VectorMemory(wiring.Component):
    """Keep `vector_words` fp32 words, in lines of `lanes` words.

    Three lines are read and one is written per cycle, from three copies of the same contents. Among
    the writers the first that has something goes; the others wait, so that the first is always
    ready. Read latency is one cycle. A write accepted in cycle t is seen by reads whose line is
    presented in cycle t + 2 or later; what those of t + 1 see of it is undefined. So a unit that is
    busy during t and idle in t + 1 has made its writes visible to every instruction dispatched
    after.

    Contents are undefined after power-up, and survive reset.

    Parameters
    ----------
    config : :class:`~rtl.spec.config.Config`
    writers : :class:`int`
        Number of writers.

    Members
    -------
    a, b, c : :py:`In(VectorRead(config))`
        Read ports.
    writers : :py:`In(stream.Signature(vector_write(config))).array(writers)`
        Writes, the most urgent writer first.
    waiting : :py:`Out(1)`
        A write is not accepted in this cycle.
    """

    def __init__(self, config, writers):
        if not isinstance(writers, int) or writers < 1:
            raise ValueError(f"Number of writers must be a positive integer, not {writers!r}")
        self.config = config
        super().__init__(
            {
                **{name: In(VectorRead(config)) for name in "abc"},
                "writers": In(stream.Signature(vector_write(config))).array(writers),
                "waiting": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()

        # Registered: breaks the path from the writers' arbiter to the memories.
        write = Signal(vector_write(self.config), reset_less=True)
        valid = Signal()
        taken = C(0, 1)
        for writer in self.writers:
            m.d.comb += writer.ready.eq(~taken)
            taken = taken | writer.valid
        m.d.comb += self.waiting.eq(Cat(w.valid & ~w.ready for w in self.writers).any())
        m.d.sync += valid.eq(taken)
        for writer in reversed(self.writers):
            with m.If(writer.valid):
                m.d.sync += write.eq(writer.payload)

        lines = self.config.vector_words // self.config.lanes
        for name in "abc":
            read = getattr(self, name)
            copy = BlockRam(data.ArrayLayout(32, self.config.lanes), lines, granularity=1)
            m.submodules[f"copy_{name}"] = copy
            m.d.comb += [
                copy.write_addr.eq(write.line),
                copy.write_data.eq(write.data),
                copy.write_en.eq(write.mask & valid.replicate(self.config.lanes)),
                copy.read_addr.eq(read.line),
                copy.read_en.eq(read.en),
                read.data.eq(copy.data),
            ]

        return m
