"""AXI4 width converter: a narrow manager in front of a wide memory."""

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .axi import AXI4


__all__ = ["AXI4Widener"]


# What passes as it is.
ADDRESS = ("id", "addr", "burst")
RESPONSE = ("id", "resp")


class AXI4Widener(wiring.Component):
    """Join a manager to a memory whose data are wider.

    Reads are of whole words of memory, aligned, in bursts of type INCR: a burst becomes one of
    fewer beats, and each of memory's beats becomes several. Writes may be any burst of whole beats:
    they keep their beats, each in its lanes of memory's word with the strobes of the others clear
    (narrow transfers of AXI4), since accelerators write little.

    Latency is none. Throughput in reading is one beat a cycle; in writing, a burst takes a cycle
    more than its beats. Backpressure is respected; memory has to hold a beat of reading for as many
    cycles as it has parts.

    Parameters
    ----------
    addr_width, data_width, id_width : :class:`int`
        Widths of the addresses (of bytes), of the manager's data and of the identifiers.
    wide_width : :class:`int`
        Width of memory's data: 2, 4, 8, … times the manager's.

    Members
    -------
    i : :py:`In(AXI4(addr_width, data_width, id_width))`
        Manager.
    o : :py:`Out(AXI4(addr_width, wide_width, id_width))`
        Memory.
    """

    def __init__(self, addr_width, data_width, id_width, wide_width):
        parts = wide_width // data_width
        if parts < 2 or parts & (parts - 1) or parts * data_width != wide_width:
            raise ValueError(
                f"Memory's width must be 2, 4, 8, … times {data_width}, not {wide_width!r}"
            )
        self.parts = parts
        super().__init__(
            {
                "i": In(AXI4(addr_width, data_width, id_width)),
                "o": Out(AXI4(addr_width, wide_width, id_width)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        self.read(m)
        self.write(m)
        return m

    def read(self, m):
        """Fewer, wider beats are asked for; each comes as its parts, the lowest first."""
        i, o = self.i, self.o
        part = Signal(range(self.parts))
        m.d.comb += [
            *(getattr(o, f"ar{name}").eq(getattr(i, f"ar{name}")) for name in ADDRESS),
            o.arlen.eq(i.arlen >> len(part)),
            o.arsize.eq(size(o.rdata)),
            o.arvalid.eq(i.arvalid),
            i.arready.eq(o.arready),
            *(getattr(i, f"r{name}").eq(getattr(o, f"r{name}")) for name in RESPONSE),
            i.rdata.eq(o.rdata.word_select(part, len(i.rdata))),
            i.rlast.eq(o.rlast & part.all()),
            i.rvalid.eq(o.rvalid),
            o.rready.eq(i.rready & part.all()),
        ]
        with m.If(i.rvalid & i.rready):
            m.d.sync += part.eq(part + 1)

    def write(self, m):
        """Data wait until their address has passed, which says in which lanes they begin."""
        i, o = self.i, self.o
        part = Signal(range(self.parts))
        writing = Signal()
        m.d.comb += [
            *(getattr(o, f"aw{name}").eq(getattr(i, f"aw{name}")) for name in ADDRESS),
            o.awlen.eq(i.awlen),
            o.awsize.eq(size(i.wdata)),
            o.awvalid.eq(i.awvalid & ~writing),
            i.awready.eq(o.awready & ~writing),
            o.wdata.eq(i.wdata.replicate(self.parts)),
            o.wstrb.word_select(part, len(i.wstrb)).eq(i.wstrb),
            o.wlast.eq(i.wlast),
            o.wvalid.eq(i.wvalid & writing),
            i.wready.eq(o.wready & writing),
            *(getattr(i, f"b{name}").eq(getattr(o, f"b{name}")) for name in RESPONSE),
            i.bvalid.eq(o.bvalid),
            o.bready.eq(i.bready),
        ]
        with m.If(~writing):
            m.d.sync += [
                writing.eq(i.awvalid & o.awready),
                part.eq(i.awaddr >> size(i.wdata)),
            ]
        with m.Elif(i.wvalid & o.wready):
            m.d.sync += [part.eq(part + 1), writing.eq(~i.wlast)]


def size(data):
    """`axsize` of transfers of so many bits: the logarithm of their bytes."""
    return (len(data) // 8 - 1).bit_length()
