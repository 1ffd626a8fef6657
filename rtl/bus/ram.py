"""Block RAM: one write and one registered read a cycle."""

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out


__all__ = ["BlockRam"]


class BlockRam(wiring.Component):
    """Keep `depth` values, with a port that writes and one that reads.

    Read latency is one cycle. What is read of a value while it is written is undefined: block RAMs
    differ in it, and to define it takes a LUT and two flip-flops a bit. What a read returns stays
    until the next one. Contents are undefined after power-up, and survive reset.

    Parameters
    ----------
    shape : shape-like
        Values.
    depth : :class:`int`
        How many there are.
    granularity : :class:`int` or None
        Bits, or elements of an array, that each bit of `write_en` is for. None: all of a value.

    Members
    -------
    write_addr, write_data, write_en : :py:`In(range(depth))`, :py:`In(shape)`, :py:`In(...)`
        What is written.
    read_addr, read_en : :py:`In(range(depth))`, :py:`In(1)`
        What is read.
    data : :py:`Out(shape)`
        What was read last.
    """

    def __init__(self, shape, depth, granularity=None):
        # The attribute, of yosys, is what leaves such a read undefined. It holds where the memory's
        # own port is asynchronous, and a register follows.
        self._memory = Memory(shape=shape, depth=depth, init=[], attrs={"no_rw_check": 1})
        self._write = self._memory.write_port(granularity=granularity)
        super().__init__(
            {
                "write_addr": In(range(depth)),
                "write_data": In(shape),
                "write_en": In(len(self._write.en)),
                "read_addr": In(range(depth)),
                "read_en": In(1),
                "data": Out(shape),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.words = memory = self._memory
        read = memory.read_port(domain="comb")
        data = Signal.like(Value.cast(self.data), reset_less=True)
        m.d.comb += [
            self._write.addr.eq(self.write_addr),
            self._write.data.eq(self.write_data),
            self._write.en.eq(self.write_en),
            read.addr.eq(self.read_addr),
            self.data.eq(data),
        ]
        with m.If(self.read_en):
            m.d.sync += data.eq(read.data)
        return m
