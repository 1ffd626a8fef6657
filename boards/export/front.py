"""Registers of the exported IP block; accesses above them go to the accelerator's."""

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from rtl.bus.axi import OKAY, SLVERR, AXI4Lite
from rtl.spec import csr

from .registers import BLOCK_ADDRESS_BITS, MACHINE, REGISTERS


__all__ = ["Front"]


class Front(wiring.Component):
    """Answer for the registers of :data:`~.registers.REGISTERS`, and pass on what is for the
    accelerator.

    One access at a time. One that is passed on takes two cycles more than the accelerator's own; a
    register here answers in three. An access that no register answers to is answered with SLVERR.

    Members
    -------
    host : :py:`In(AXI4Lite(BLOCK_ADDRESS_BITS))`
        Host.
    machine : :py:`Out(AXI4Lite(csr.REGISTER_ADDRESS_BITS))`
        The accelerator: what is at `MACHINE` or behind it.
    base : :py:`Out(64)`
        Register BASE.
    """

    def __init__(self):
        super().__init__(
            {
                "host": In(AXI4Lite(BLOCK_ADDRESS_BITS)),
                "machine": Out(AXI4Lite(csr.REGISTER_ADDRESS_BITS)),
                "base": Out(64),
            }
        )

    def elaborate(self, platform):
        m = Module()
        host, machine = self.host, self.machine

        address = Signal(BLOCK_ADDRESS_BITS, reset_less=True)
        data, strobe = Signal(32, reset_less=True), Signal(4, reset_less=True)
        known = Signal()
        word = self.base.word_select(address[2], 32)
        m.d.comb += [
            known.eq(address[3:] == REGISTERS["BASE"].address >> 3),
            machine.awaddr.eq(address),
            machine.araddr.eq(address),
            machine.wdata.eq(data),
            machine.wstrb.eq(strobe),
        ]
        with m.FSM():
            with m.State("IDLE"):
                m.d.sync += [data.eq(host.wdata), strobe.eq(host.wstrb)]
                with m.If(host.awvalid & host.wvalid):
                    m.d.comb += [host.awready.eq(1), host.wready.eq(1)]
                    m.d.sync += address.eq(host.awaddr)
                    m.next = "WRITE"
                with m.Elif(host.arvalid):
                    m.d.comb += host.arready.eq(1)
                    m.d.sync += address.eq(host.araddr)
                    m.next = "READ"
            with m.State("WRITE"):
                with m.If(address >= MACHINE):
                    m.d.sync += [machine.awvalid.eq(1), machine.wvalid.eq(1)]
                    m.next = "PASS WRITE"
                with m.Else():
                    with m.If(known):
                        mask = Cat(bit.replicate(8) for bit in strobe)
                        m.d.sync += word.eq(word & ~mask | data & mask)
                    m.d.sync += [host.bvalid.eq(1), host.bresp.eq(Mux(known, OKAY, SLVERR))]
                    m.next = "CONFIRM"
            with m.State("PASS WRITE"):
                for valid, ready in (
                    (machine.awvalid, machine.awready),
                    (machine.wvalid, machine.wready),
                ):
                    with m.If(ready):
                        m.d.sync += valid.eq(0)
                m.d.comb += machine.bready.eq(1)
                with m.If(machine.bvalid):
                    m.d.sync += [host.bvalid.eq(1), host.bresp.eq(machine.bresp)]
                    m.next = "CONFIRM"
            with m.State("CONFIRM"):
                with m.If(host.bready):
                    m.d.sync += host.bvalid.eq(0)
                    m.next = "IDLE"
            self.read(m, address, known, word)

        return m

    def read(self, m, address, known, word):
        """States of a read: of a register here, or of one of the machine's."""
        host, machine = self.host, self.machine
        with m.State("READ"):
            with m.If(address >= MACHINE):
                m.d.sync += machine.arvalid.eq(1)
                m.next = "PASS READ"
            with m.Else():
                m.d.sync += [
                    host.rvalid.eq(1),
                    host.rdata.eq(Mux(known, word, 0)),
                    host.rresp.eq(Mux(known, OKAY, SLVERR)),
                ]
                m.next = "ANSWER"
        with m.State("PASS READ"):
            with m.If(machine.arready):
                m.d.sync += machine.arvalid.eq(0)
            m.d.comb += machine.rready.eq(1)
            with m.If(machine.rvalid):
                m.d.sync += [
                    host.rvalid.eq(1),
                    host.rdata.eq(machine.rdata),
                    host.rresp.eq(machine.rresp),
                ]
                m.next = "ANSWER"
        with m.State("ANSWER"):
            with m.If(host.rready):
                m.d.sync += host.rvalid.eq(0)
                m.next = "IDLE"
