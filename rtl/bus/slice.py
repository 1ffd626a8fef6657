"""AXI4 register slice, for a bus that crosses the chip."""

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .axi import AXI4
from .register import StreamRegister
from .skid import SkidBuffer


__all__ = ["AXI4Slice"]


ADDRESS = ("id", "addr", "len", "size", "burst")
FROM_MANAGER = {"ar": ADDRESS, "aw": ADDRESS, "w": ("data", "strb", "last")}
FROM_MEMORY = {"r": ("id", "data", "resp", "last"), "b": ("id", "resp")}


class AXI4Slice(wiring.Component):
    """Break every combinational path through an AXI4 bus, forward and backward.

    Towards memory, a controller's `ready` enables a single bit; towards the manager, all outputs
    are registers.

    Latency is one cycle in each channel; throughput is one transfer per cycle. Backpressure is
    respected.

    Parameters
    ----------
    addr_width, data_width, id_width : :class:`int`
        Widths of the addresses (of bytes), of the data and of the transaction identifiers.

    Members
    -------
    i : :py:`In(AXI4(addr_width, data_width, id_width))`
        Manager.
    o : :py:`Out(AXI4(addr_width, data_width, id_width))`
        Memory.
    """

    def __init__(self, addr_width, data_width, id_width):
        bus = AXI4(addr_width, data_width, id_width)
        super().__init__({"i": In(bus), "o": Out(bus)})

    def elaborate(self, platform):
        m = Module()

        for channel, names in FROM_MANAGER.items():
            width = self.width(channel, names)
            m.submodules[f"{channel}_register"] = first = StreamRegister(width)
            m.submodules[f"{channel}_skid"] = last = SkidBuffer(width)
            self.cut(m, channel, names, self.i, first, last, self.o)
        for channel, names in FROM_MEMORY.items():
            width = self.width(channel, names)
            m.submodules[f"{channel}_skid"] = first = SkidBuffer(width)
            m.submodules[f"{channel}_register"] = last = StreamRegister(width)
            self.cut(m, channel, names, self.o, first, last, self.i)

        return m

    def width(self, channel, names):
        """Bits of a channel's payload."""
        return sum(len(getattr(self.i, channel + name)) for name in names)

    def cut(self, m, channel, names, source, first, last, sink):
        """Lead a channel from one bus through two stages to the other."""
        wiring.connect(m, first.o, last.i)
        for bus, stream in ((source, first.i), (sink, last.o)):
            payload = Cat(getattr(bus, channel + name) for name in names)
            valid, ready = getattr(bus, f"{channel}valid"), getattr(bus, f"{channel}ready")
            if bus is source:
                m.d.comb += [
                    stream.payload.eq(payload),
                    stream.valid.eq(valid),
                    ready.eq(stream.ready),
                ]
            else:
                m.d.comb += [
                    payload.eq(stream.payload),
                    valid.eq(stream.valid),
                    stream.ready.eq(ready),
                ]
