"""AXI4 arbiter: two managers share a memory."""

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from .axi import AXI4


__all__ = ["Arbiter"]


# The identifier comes last: it is one bit wider at the memory.
FIELDS = ("addr", "len", "size", "burst", "id")


class Arbiter(wiring.Component):
    """Join two AXI4 managers to one.

    Round-robin, separately for reads and writes. The highest bit of an identifier names the
    manager, so memory may answer bursts of different identifiers in any order. A manager that is
    not ready for its data stalls the other's.

    Latency is two cycles for an address, none for data and responses. Throughput is one burst every
    three cycles and one beat every cycle in reading; in writing, a burst takes two cycles more than
    its beats.

    Parameters
    ----------
    addr_width, data_width, id_width : :class:`int`
        Widths of memory's addresses (of bytes), data and identifiers.

    Members
    -------
    i : :py:`In(AXI4(addr_width, data_width, id_width - 1)).array(2)`
        Managers.
    o : :py:`Out(AXI4(addr_width, data_width, id_width))`
        Memory.
    """

    def __init__(self, addr_width, data_width, id_width):
        if not isinstance(id_width, int) or id_width < 2:
            raise ValueError(f"Identifiers must have at least 2 bits, not {id_width!r}")
        super().__init__(
            {
                "i": In(AXI4(addr_width, data_width, id_width - 1)).array(2),
                "o": Out(AXI4(addr_width, data_width, id_width)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        o = self.o

        self.choose(m, "r", Const(1))

        # One burst at a time: its data must follow its address, in the same order.
        writing, writer = Signal(), Signal()
        chosen, source = self.choose(m, "w", ~writing)
        with m.If(chosen):
            m.d.sync += [writing.eq(1), writer.eq(source)]
        with m.Elif(o.wvalid & o.wready & o.wlast):
            m.d.sync += writing.eq(0)
        for n, i in enumerate(self.i):
            with m.If(writer == n):
                m.d.comb += [
                    o.wdata.eq(i.wdata),
                    o.wstrb.eq(i.wstrb),
                    o.wlast.eq(i.wlast),
                    o.wvalid.eq(i.wvalid & writing),
                    i.wready.eq(o.wready & writing),
                ]

        for answer, names in {"r": ("data", "resp", "last"), "b": ("resp",)}.items():
            id, valid, ready = (getattr(o, answer + name) for name in ("id", "valid", "ready"))
            for n, i in enumerate(self.i):
                m.d.comb += [
                    getattr(i, f"{answer}id").eq(id),
                    getattr(i, f"{answer}valid").eq(valid & (id[-1] == n)),
                    *(getattr(i, answer + name).eq(getattr(o, answer + name)) for name in names),
                ]
                with m.If(id[-1] == n):
                    m.d.comb += ready.eq(getattr(i, f"{answer}ready"))

        return m

    def choose(self, m, channel, allowed):
        """Take the managers' addresses, and pass on one of them at a time.

        Returns whether one is chosen in this cycle, and whose it is.
        """
        names = [f"a{channel}{name}" for name in FIELDS]
        valid, ready = getattr(self.o, f"a{channel}valid"), getattr(self.o, f"a{channel}ready")
        waiting = Signal(2, name=f"{channel}_waiting")
        last, source, chosen = (
            Signal(name=f"{channel}_{name}") for name in ("last", "source", "chosen")
        )
        m.d.comb += [
            source.eq(Mux(waiting.all(), ~last, waiting[1])),
            # Memory's `ready` arrives late, so the next address waits for the next cycle.
            chosen.eq(waiting.any() & ~valid & allowed),
        ]
        with m.If(ready):
            m.d.sync += valid.eq(0)
        with m.If(chosen):
            m.d.sync += [valid.eq(1), last.eq(source)]
        for n, i in enumerate(self.i):
            # Addresses are registered: no path leads from memory to a manager.
            address = Cat(getattr(i, name) for name in names)
            kept = Signal.like(address, reset_less=True, name=f"{channel}_kept{n}")
            m.d.comb += getattr(i, f"a{channel}ready").eq(~waiting[n])
            with m.If(~waiting[n]):
                m.d.sync += [kept.eq(address), waiting[n].eq(getattr(i, f"a{channel}valid"))]
            with m.If(chosen & (source == n)):
                m.d.sync += [
                    waiting[n].eq(0),
                    Cat(getattr(self.o, name) for name in names).eq(Cat(kept, Const(n, 1))),
                ]
        return chosen, source
