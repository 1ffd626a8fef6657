"""Register file behind an AXI4-Lite port."""

from functools import reduce
from operator import or_

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from ..bus.axi import OKAY, SLVERR, AXI4Lite
from ..spec.csr import REGISTER_ADDRESS_BITS, REGISTERS


__all__ = ["WINDOWS", "RegisterFile"]


WINDOWS = ("BEST", "COUNTER")  # read through a port, instead of as members


class RegisterFile(wiring.Component):
    """Give the host the registers of :data:`rtl.spec.csr.REGISTERS`.

    One access at a time; a read takes nine cycles, a write four. An address without a register, or
    a register that does not allow the access, gives SLVERR.

    Members
    -------
    axi : :py:`In(AXI4Lite(REGISTER_ADDRESS_BITS))`
        Host.

    Each register has members named after it, in lower case:

    name : :py:`In(32 * count)`
        Value of a read-only one, but see `name_index`.
    name : :py:`Out(32)`
        Value of one that is read and written.
    name_write : :py:`Out(32)`
        Bits written to a write-only one, in one cycle; zero in all others.
    name_index, name_word : :py:`Out(range(count)), In(32)`
        Window of many read-only ones: word of the `name_index` one or two cycles before.
    name_index, name_word : :py:`In(range(count)), Out(32)`
        Array of ones that are read and written: word of the `name_index` of the cycle before.
    """

    def __init__(self):
        members = {"axi": In(AXI4Lite(REGISTER_ADDRESS_BITS))}
        for r in REGISTERS.values():
            name = r.name.lower()
            if r.name in WINDOWS:
                members |= {f"{name}_index": Out(range(r.count)), f"{name}_word": In(32)}
            elif r.access == "w":
                members |= {f"{name}_write": Out(32)}
            elif r.access == "r":
                members |= {name: In(32 * r.count)}
            elif r.count > 1:
                members |= {f"{name}_index": In(range(r.count)), f"{name}_word": Out(32)}
            else:
                members |= {name: Out(32)}
        super().__init__(members)

    def elaborate(self, platform):
        m = Module()
        axi = self.axi

        word = Signal(REGISTER_ADDRESS_BITS - 2, reset_less=True)
        written = Signal(32, reset_less=True)
        mask = Signal(32, reset_less=True)
        is_write = Signal(reset_less=True)
        writing = Signal()  # a write takes effect
        known, value = self.look_up(m, word, is_write, writing, written, mask)
        wait = Signal(range(5))  # for windows and memories
        with m.FSM():
            with m.State("IDLE"):
                m.d.sync += [is_write.eq(0), written.eq(axi.wdata), wait.eq(4)]
                m.d.sync += mask.eq(Cat(bit.replicate(8) for bit in axi.wstrb))
                with m.If(axi.awvalid & axi.wvalid):
                    m.d.comb += [axi.awready.eq(1), axi.wready.eq(1)]
                    m.d.sync += [is_write.eq(1), word.eq(axi.awaddr >> 2)]
                    m.next = "SELECT"
                with m.Elif(axi.arvalid):
                    m.d.comb += axi.arready.eq(1)
                    m.d.sync += word.eq(axi.araddr >> 2)
                    m.next = "SELECT"
            with m.State("SELECT"):
                m.next = "READ"
                with m.If(is_write):
                    m.next = "WRITE"
            with m.State("WRITE"):
                m.d.comb += writing.eq(1)
                m.d.sync += [axi.bvalid.eq(1), axi.bresp.eq(Mux(known, OKAY, SLVERR))]
                m.next = "CONFIRM"
            with m.State("CONFIRM"):
                with m.If(axi.bready):
                    m.d.sync += axi.bvalid.eq(0)
                    m.next = "IDLE"
            with m.State("READ"):
                m.d.sync += wait.eq(wait - 1)
                with m.If(wait == 0):
                    m.d.sync += [
                        axi.rvalid.eq(1),
                        axi.rdata.eq(Mux(known, value, 0)),
                        axi.rresp.eq(Mux(known, OKAY, SLVERR)),
                    ]
                    m.next = "ANSWER"
            with m.State("ANSWER"):
                with m.If(axi.rready):
                    m.d.sync += axi.rvalid.eq(0)
                    m.next = "IDLE"

        return m

    def look_up(self, m, word, is_write, writing, written, mask):
        """Find a register in one cycle and its value in the next: registers lie all over the chip.

        Returns whether the register exists and allows the access, and the value.
        """
        known = Signal()
        value = Signal(32, reset_less=True)
        values, allowed = [], []
        for r in REGISTERS.values():
            start = r.address // 4
            index = Signal(range(r.count), name=f"{r.name.lower()}_at", reset_less=True)
            hit = Signal(name=f"{r.name.lower()}_hit", reset_less=True)
            m.d.sync += [
                index.eq(word - start),
                hit.eq((word >= start) & (word < start + r.count)),
            ]
            values.append(Mux(hit, self.attach(m, r, index, hit & writing, written, mask), 0))
            allowed.append(hit & Mux(is_write, "w" in r.access, "r" in r.access))
        m.d.comb += known.eq(Cat(allowed).any())
        m.d.sync += value.eq(reduce(or_, values))
        return known, value

    def attach(self, m, register, index, write, written, mask):
        """Implement one entry of the table; returns the value of its word `index`."""
        name = register.name.lower()
        if register.name in WINDOWS:
            m.d.sync += getattr(self, f"{name}_index").eq(index)
            return getattr(self, f"{name}_word")
        if register.access == "w":
            m.d.comb += getattr(self, f"{name}_write").eq(Mux(write, written & mask, 0))
            return C(0)
        if register.access == "r":
            return getattr(self, name).word_select(index, 32)
        if register.count == 1:
            member = getattr(self, name)
            with m.If(write):
                m.d.sync += member.eq(member & ~mask | written & mask)
            return member
        m.submodules[name] = memory = Memory(shape=32, depth=register.count, init=[])
        write_port = memory.write_port(granularity=8)
        host, own = memory.read_port(), memory.read_port()
        m.d.comb += [
            write_port.addr.eq(index),
            write_port.data.eq(written),
            write_port.en.eq(Mux(write, mask[::8], 0)),
            host.addr.eq(index),
            own.addr.eq(getattr(self, f"{name}_index")),
            getattr(self, f"{name}_word").eq(own.data),
        ]
        return host.data
