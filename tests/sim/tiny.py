"""A stand-in for the accelerator: its ports and registers, and something to do on the memory
bus.
"""

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from rtl.spec.csr import IDENTITY, REGISTERS, FaultCode
from rtl.spec.isa import WeightFormat


__all__ = ["BEATS", "BUGS", "Tiny"]


BEATS = 8  # per burst
# TOKENs with which it relies on what AXI does not promise.
BUGS = {
    "order": 0xB000,  # bursts come in the order in which they were asked for
    "answer": 0xB001,  # data that were accepted are in memory
    "ready": 0xB002,  # an address is accepted at once
}


class Tiny(wiring.Component):
    """Adds up 32 bits of each beat of LENGTH bursts from PROGRAM on, and reports the sum.

    The sum becomes WEIGHT_BEATS, and is written to the first beat of the memory, in its upper 32
    bits alone. Bursts go round four ids. A TOKEN of 0xdead is a fault, and one of `BUGS` a bug.
    """

    def __init__(self, config):
        self.config = config
        width = config.beat_bits
        lite = {"aw": ("addr", 12), "w": ("data", 32), "ar": ("addr", 12)}
        members = {"activity": Out(6)}
        for channel, (name, bits) in lite.items():
            members |= {
                f"s_axi_{channel}{name}": In(bits),
                f"s_axi_{channel}valid": In(1),
                f"s_axi_{channel}ready": Out(1),
            }
        members |= {
            "s_axi_wstrb": In(4),
            "s_axi_bresp": Out(2),
            "s_axi_bvalid": Out(1),
            "s_axi_bready": In(1),
            "s_axi_rdata": Out(32),
            "s_axi_rresp": Out(2),
            "s_axi_rvalid": Out(1),
            "s_axi_rready": In(1),
        }
        for channel in ("aw", "ar"):
            members |= {
                f"m_axi_{channel}{name}": Out(bits)
                for name, bits in [
                    ("id", 4),
                    ("addr", 40),
                    ("len", 8),
                    ("size", 3),
                    ("burst", 2),
                    ("valid", 1),
                ]
            }
            members |= {f"m_axi_{channel}ready": In(1)}
        members |= {
            "m_axi_wdata": Out(width),
            "m_axi_wstrb": Out(width // 8),
            "m_axi_wlast": Out(1),
            "m_axi_wvalid": Out(1),
            "m_axi_wready": In(1),
            "m_axi_bid": In(4),
            "m_axi_bresp": In(2),
            "m_axi_bvalid": In(1),
            "m_axi_bready": Out(1),
            "m_axi_rid": In(4),
            "m_axi_rdata": In(width),
            "m_axi_rresp": In(2),
            "m_axi_rlast": In(1),
            "m_axi_rvalid": In(1),
            "m_axi_rready": Out(1),
        }
        super().__init__(members)

    def elaborate(self, platform):
        m = Module()
        at = {name: r.address // 4 for name, r in REGISTERS.items()}
        beat = self.config.beat_bytes

        busy, done, code, total = Signal(), Signal(), Signal(8), Signal(32)
        program, length, token = Signal(32), Signal(32), Signal(32)
        cycles, asked, got = Signal(32), Signal(32), Signal(32)
        m.submodules.store = store = Memory(shape=32, depth=1024, init=[])
        write, read = store.write_port(), store.read_port(domain="comb")

        m.d.comb += [
            write.addr.eq(self.s_axi_awaddr >> 2),
            write.data.eq(self.s_axi_wdata),
            read.addr.eq(self.s_axi_araddr >> 2),
            self.activity.eq(Cat(busy, busy & asked[3])),
        ]
        start = Signal()
        with m.If(self.s_axi_awvalid & self.s_axi_wvalid & ~self.s_axi_bvalid):
            m.d.comb += [write.en.eq(1), self.s_axi_awready.eq(1), self.s_axi_wready.eq(1)]
            m.d.sync += self.s_axi_bvalid.eq(1)
            with m.Switch(self.s_axi_awaddr >> 2):
                with m.Case(at["PROGRAM"]):
                    m.d.sync += program.eq(self.s_axi_wdata)
                with m.Case(at["LENGTH"]):
                    m.d.sync += length.eq(self.s_axi_wdata)
                with m.Case(at["TOKEN"]):
                    m.d.sync += token.eq(self.s_axi_wdata)
                with m.Case(at["CONTROL"]):
                    m.d.comb += start.eq(self.s_axi_wdata[0])
                    with m.If(self.s_axi_wdata[1]):
                        m.d.sync += [code.eq(0), done.eq(0)]
        with m.If(self.s_axi_bvalid & self.s_axi_bready):
            m.d.sync += self.s_axi_bvalid.eq(0)
        with m.If(self.s_axi_arvalid & ~self.s_axi_rvalid):
            m.d.comb += self.s_axi_arready.eq(1)
            m.d.sync += [self.s_axi_rvalid.eq(1), self.s_axi_rdata.eq(read.data)]
            with m.Switch(self.s_axi_araddr >> 2):
                for name, value in [
                    ("IDENTITY", IDENTITY),
                    ("STATUS", Cat(busy, done, code != 0)),
                    ("DIGEST", int(self.config.digest[:8], 16)),
                    ("FAULT_CODE", code),
                    ("FORMATS", sum(1 << WeightFormat[name].value for name in self.config.formats)),
                    ("CYCLES", cycles),
                    ("WEIGHT_BEATS", total),
                ]:
                    with m.Case(at[name]):
                        m.d.sync += self.s_axi_rdata.eq(value)
        with m.If(self.s_axi_rvalid & self.s_axi_rready):
            m.d.sync += self.s_axi_rvalid.eq(0)

        m.d.comb += [
            self.m_axi_arid.eq(asked),
            self.m_axi_araddr.eq((program << 6) + asked * BEATS * beat),
            self.m_axi_arid[2:].eq(0),
            self.m_axi_arlen.eq(BEATS - 1),
            self.m_axi_arburst.eq(1),
            self.m_axi_arsize.eq(beat.bit_length() - 1),
            self.m_axi_rready.eq(1),
            self.m_axi_awburst.eq(1),
            self.m_axi_awsize.eq(beat.bit_length() - 1),
            self.m_axi_wdata.eq(total << (self.config.beat_bits - 32)),
            self.m_axi_wstrb.eq(0xF << (beat - 4)),
            self.m_axi_wlast.eq(1),
            self.m_axi_bready.eq(1),
        ]
        with m.If(busy):
            m.d.sync += cycles.eq(cycles + 1)
        self.run(m, start, busy, done, code, total, cycles, asked, got, length, token)
        return m

    def run(self, m, start, busy, done, code, total, cycles, asked, got, length, token):
        """Read the program's beats, and write their sum."""
        with m.FSM():
            with m.State("IDLE"):
                with m.If(start):
                    m.d.sync += [
                        busy.eq(1),
                        done.eq(0),
                        total.eq(0),
                        cycles.eq(0),
                        asked.eq(0),
                        got.eq(0),
                    ]
                    m.next = "READ"
                    with m.If(token == 0xDEAD):
                        m.d.sync += [busy.eq(0), code.eq(FaultCode.OPCODE.value)]
                        m.next = "IDLE"
            with m.State("READ"):
                m.d.comb += self.m_axi_arvalid.eq(asked != length)
                with m.If(self.m_axi_arvalid & (self.m_axi_arready | (token == BUGS["ready"]))):
                    m.d.sync += asked.eq(asked + 1)
                with m.If(self.m_axi_rvalid):
                    with m.If((token != BUGS["order"]) | (self.m_axi_rid == got[:2])):
                        m.d.sync += total.eq(total + self.m_axi_rdata[:32])
                    with m.If(self.m_axi_rresp != 0):
                        m.d.sync += code.eq(FaultCode.BUS.value)
                    with m.If(self.m_axi_rlast):
                        m.d.sync += got.eq(got + 1)
                with m.If(got == length):
                    m.next = "WRITE"
            with m.State("WRITE"):
                m.d.comb += [self.m_axi_awvalid.eq(1)]
                with m.If(self.m_axi_awready):
                    m.next = "DATA"
            with m.State("DATA"):
                m.d.comb += self.m_axi_wvalid.eq(1)
                with m.If(self.m_axi_wready):
                    m.next = "ANSWER"
            with m.State("ANSWER"):
                with m.If(self.m_axi_bvalid | (token == BUGS["answer"])):
                    m.d.sync += [busy.eq(0), done.eq(1)]
                    m.next = "IDLE"
