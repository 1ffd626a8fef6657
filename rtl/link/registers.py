"""Accesses to registers: the accelerator's, and those on the board's control bus."""

from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ..bus.axi import AXI4Lite
from ..bus.wishbone import Wishbone
from ..spec import csr
from ..spec.protocol import SPACE_ADDRESS_BITS, Space


__all__ = ["CONTROL_ADDR_WIDTH", "ACCESS", "ACCESSED", "RegisterPort"]


CONTROL_ADDR_WIDTH = 30  # what LiteDRAM's control bus has

# `address` begins with a Space.
ACCESS = data.StructLayout({"write": 1, "address": 32, "value": 32})

# What was read, and whether the bus answered without an error.
ACCESSED = data.StructLayout({"ok": 1, "value": 32})


class RegisterPort(wiring.Component):
    """Read and write registers, one at a time.

    An address outside of all spaces, or that is not word-aligned, gives an error, and no access to
    a bus.

    Latency is two cycles and what the bus takes.

    Members
    -------
    i : :py:`In(stream.Signature(ACCESS))`
        Accesses.
    o : :py:`Out(stream.Signature(ACCESSED))`
        What came of each.
    abort : :py:`In(1)`
        Give an access to the control bus up, without an answer at `o`. AXI knows no such thing: an
        access to the accelerator goes on, and is answered some time.
    axi : :py:`Out(AXI4Lite(csr.REGISTER_ADDRESS_BITS))`
        The accelerator's registers.
    wb : :py:`Out(Wishbone(CONTROL_ADDR_WIDTH))`
        The board's control bus.
    """

    def __init__(self):
        super().__init__(
            {
                "i": In(stream.Signature(ACCESS)),
                "o": Out(stream.Signature(ACCESSED)),
                "abort": In(1),
                "axi": Out(AXI4Lite(csr.REGISTER_ADDRESS_BITS)),
                "wb": Out(Wishbone(CONTROL_ADDR_WIDTH)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        axi, wb, answer = self.axi, self.wb, self.o.payload

        asked = Signal(ACCESS, reset_less=True)
        space = asked.address[SPACE_ADDRESS_BITS:]
        local = asked.address[:SPACE_ADDRESS_BITS]
        m.d.comb += [
            axi.awaddr.eq(local),
            axi.araddr.eq(local),
            axi.wdata.eq(asked.value),
            axi.wstrb.eq(~0),
            wb.adr.eq(local),
            wb.dat_w.eq(asked.value),
            wb.sel.eq(~0),
            wb.we.eq(asked.write),
            wb.stb.eq(wb.cyc),
        ]
        for valid, ready in (
            (axi.awvalid, axi.awready),
            (axi.wvalid, axi.wready),
            (axi.arvalid, axi.arready),
        ):
            with m.If(ready):
                m.d.sync += valid.eq(0)

        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += self.i.ready.eq(1)
                m.d.sync += asked.eq(self.i.payload)
                with m.If(self.i.valid):
                    m.next = "SELECT"
            with m.State("SELECT"):
                m.d.sync += answer.ok.eq(0)
                m.next = "ANSWER"
                with m.If(
                    (space == Space.REGISTERS)
                    & (local[csr.REGISTER_ADDRESS_BITS :] == 0)
                    & (local[:2] == 0)
                ):
                    m.d.sync += [
                        axi.awvalid.eq(asked.write),
                        axi.wvalid.eq(asked.write),
                        axi.arvalid.eq(~asked.write),
                    ]
                    m.next = "AXI"
                with m.Elif(space == Space.CONTROL):
                    m.d.sync += wb.cyc.eq(1)
                    m.next = "WISHBONE"
            with m.State("AXI"):
                m.d.comb += [axi.bready.eq(asked.write), axi.rready.eq(~asked.write)]
                with m.If(Mux(asked.write, axi.bvalid, axi.rvalid)):
                    m.d.sync += [
                        answer.value.eq(axi.rdata),
                        answer.ok.eq(~Mux(asked.write, axi.bresp[1], axi.rresp[1])),
                    ]
                    m.next = "ANSWER"
            with m.State("WISHBONE"):
                with m.If(wb.ack | wb.err | self.abort):
                    m.d.sync += [wb.cyc.eq(0), answer.value.eq(wb.dat_r), answer.ok.eq(~wb.err)]
                    m.next = "ANSWER"
                with m.If(self.abort):
                    m.next = "IDLE"
            with m.State("ANSWER"):
                m.d.comb += self.o.valid.eq(1)
                with m.If(self.o.ready):
                    m.next = "IDLE"

        return m
