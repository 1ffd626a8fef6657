"""Accesses to memory: store what comes over the link, and compute checksums of what is there."""

from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.crc.catalog import CRC32_ETHERNET
from amaranth.lib.wiring import In, Out

from ..bus.axi import AXI4, INCR
from ..memory.reader import ID_WIDTH
from ..memory.splitter import Splitter
from ..spec.config import UNIT_BYTES, Config


__all__ = ["AREA", "CHECKED", "MemoryPort"]


BURST_BEATS = 64
OUTSTANDING = 2  # bursts: enough that one is on its way while another is summed up
WORD_BITS = 32  # summed up in a cycle, unless beats are narrower

# Units of memory to `write`, or to sum up.
AREA = data.StructLayout({"write": 1, "unit": 32, "units": 32})

# Whether all addresses existed and memory never answered with an error; the CRC-32 of what was
# read.
CHECKED = data.StructLayout({"ok": 1, "crc": 32})


class MemoryPort(wiring.Component):
    """Write memory, or compute its checksum.

    An area that is empty or reaches beyond memory gives an error, and no access to memory. Writing
    takes bursts of one beat, each after the response to the one before: it is as fast as links are,
    and then all is written when it is answered. Reading takes bursts of up to 64 beats.

    Throughput in reading is 4 bytes per cycle, or a beat where that is less.

    Parameters
    ----------
    config : :class:`~rtl.spec.config.Config`
        Accelerator.
    units : :class:`int`
        Units of memory that there are.
    addr_width : :class:`int`
        Width of memory's byte addresses, at most 33.

    Members
    -------
    i : :py:`In(stream.Signature(AREA))`
        What to do.
    bytes : :py:`In(stream.Signature(8))`
        Bytes to write, as many as the units have. None are taken after an error of address.
    o : :py:`Out(stream.Signature(CHECKED))`
        What came of it.
    abort : :py:`In(1)`
        No more bytes will come: do not answer, and be ready again as soon as memory has answered.
    axi : :py:`Out(AXI4(addr_width, config.beat_bits, ID_WIDTH))`
        Memory.
    beat : :py:`Out(1)`
        Memory took or gave a beat.
    """

    def __init__(self, config, units, addr_width=32):
        if not isinstance(config, Config):
            raise TypeError(f"Configuration must be a Config, not {config!r}")
        if not isinstance(addr_width, int) or not 12 <= addr_width <= 33:
            raise ValueError(f"Address width must be from 12 to 33, not {addr_width!r}")
        if not isinstance(units, int) or not 1 <= units <= (1 << addr_width) // UNIT_BYTES:
            raise ValueError(
                f"Memory must have from 1 to {(1 << addr_width) // UNIT_BYTES} units, not {units!r}"
            )
        self.config, self.units = config, units
        self.word_bits = min(WORD_BITS, config.beat_bits)
        super().__init__(
            {
                "i": In(stream.Signature(AREA)),
                "bytes": In(stream.Signature(8)),
                "o": Out(stream.Signature(CHECKED)),
                "abort": In(1),
                "axi": Out(AXI4(addr_width, config.beat_bits, ID_WIDTH)),
                "beat": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()
        config, axi, answer = self.config, self.axi, self.o.payload
        beat_bytes, words = config.beat_bytes, config.beat_bits // self.word_bits

        m.submodules.splitter = splitter = Splitter(BURST_BEATS // config.unit_beats)
        m.submodules.crc = crc = CRC32_ETHERNET(data_width=self.word_bits).create()
        area = Signal(AREA, reset_less=True)
        end = Signal(33, reset_less=True)
        beat = Signal(config.beat_bits, reset_less=True)
        left = Signal(range(self.units * config.unit_beats + 1), reset_less=True)  # beats
        more = Signal(reset_less=True)  # some are left
        gathered = Signal(range(beat_bytes), reset_less=True)
        unsummed = Signal(range(words + 1))
        aborted = Signal()

        m.d.comb += [
            axi.awlen.eq(0),
            axi.awsize.eq((beat_bytes - 1).bit_length()),
            axi.awburst.eq(INCR),
            axi.wdata.eq(beat),
            axi.wstrb.eq(~0),
            axi.wlast.eq(1),
            axi.arsize.eq((beat_bytes - 1).bit_length()),
            axi.arburst.eq(INCR),
            crc.data.eq(beat[: self.word_bits]),
            crc.valid.eq(unsummed != 0),
            answer.crc.eq(crc.crc),
        ]
        for valid, ready in ((axi.awvalid, axi.awready), (axi.wvalid, axi.wready)):
            with m.If(ready):
                m.d.sync += valid.eq(0)
        self.ask(m, splitter)

        with m.If(unsummed != 0):
            m.d.sync += [beat.eq(beat >> self.word_bits), unsummed.eq(unsummed - 1)]

        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += self.i.ready.eq(1)
                m.d.sync += [aborted.eq(0), area.eq(self.i.payload), answer.ok.eq(1)]
                with m.If(self.i.valid):
                    m.next = "SUM"
            with m.State("SUM"):
                m.d.comb += crc.start.eq(1)
                m.d.sync += [end.eq(area.unit + area.units), gathered.eq(0)]
                m.next = "COMPARE"
            with m.State("COMPARE"):
                # Their lower bits are all that `left` and the address have.
                m.d.sync += [
                    left.eq(area.units * config.unit_beats),
                    more.eq(1),
                    axi.awaddr.eq(area.unit * UNIT_BYTES),
                ]
                with m.If((end > self.units) | (area.units == 0)):
                    m.d.sync += answer.ok.eq(0)
                    m.next = "ANSWER"
                with m.Elif(area.write):
                    m.next = "GATHER"
                with m.Else():
                    m.next = "ASK"

            self.store(m, beat, gathered, left, aborted)
            self.load(m, splitter, beat, unsummed, left, more)
            with m.State("ANSWER"):
                m.d.comb += self.o.valid.eq(1)
                with m.If(self.o.ready):
                    m.next = "IDLE"

        with m.If(self.abort):
            m.d.sync += aborted.eq(1)
        m.d.comb += [
            splitter.i.payload.addr.eq(area.unit),
            splitter.i.payload.size.eq(area.units),
        ]
        return m

    def store(self, m, beat, gathered, left, aborted):
        """States of a write: bytes are gathered to beats, which are written one by one."""
        axi, answer, beat_bytes = self.axi, self.o.payload, self.config.beat_bytes
        with m.State("GATHER"):
            m.d.comb += self.bytes.ready.eq(1)
            with m.If(aborted):
                m.next = "IDLE"
            with m.Elif(self.bytes.valid):
                m.d.sync += [
                    beat.eq(Cat(beat[8:], self.bytes.payload)),
                    gathered.eq(gathered + 1),
                ]
                with m.If(gathered == beat_bytes - 1):
                    m.d.sync += [axi.awvalid.eq(1), axi.wvalid.eq(1)]
                    m.next = "WRITE"
        with m.State("WRITE"):
            m.d.comb += axi.bready.eq(1)
            with m.If(axi.bvalid):
                m.d.comb += self.beat.eq(1)
                m.d.sync += [
                    answer.ok.eq(answer.ok & ~axi.bresp[1]),
                    axi.awaddr.eq(axi.awaddr + beat_bytes),
                    left.eq(left - 1),
                ]
                m.next = "GATHER"
                with m.If(left == 1):
                    m.next = "ANSWER"

    def load(self, m, splitter, beat, unsummed, left, more):
        """States of a read: beats are read as fast as they can be summed."""
        axi, answer = self.axi, self.o.payload
        words = self.config.beat_bits // self.word_bits
        with m.State("ASK"):
            m.d.comb += splitter.i.valid.eq(1)
            with m.If(splitter.i.ready):
                m.next = "READ"
        with m.State("READ"):
            m.d.comb += axi.rready.eq((unsummed <= 1) & more)
            with m.If(axi.rvalid & axi.rready):
                m.d.comb += self.beat.eq(1)
                m.d.sync += [
                    beat.eq(axi.rdata),
                    unsummed.eq(words),
                    answer.ok.eq(answer.ok & ~axi.rresp[1]),
                    left.eq(left - 1),
                    more.eq(left != 1),
                ]
            with m.If(~more & (unsummed == 0)):
                m.next = "ANSWER"

    def ask(self, m, splitter):
        """Request the bursts, a bounded number ahead of their data."""
        axi = self.axi
        outstanding = Signal(range(OUTSTANDING + 1))
        # Never: areas that reach beyond memory are refused before.
        m.d.comb += splitter.limit.eq(~0)
        m.d.comb += splitter.o.ready.eq((~axi.arvalid | axi.arready) & (outstanding != OUTSTANDING))
        with m.If(axi.arready):
            m.d.sync += axi.arvalid.eq(0)
        asked = splitter.o.valid & splitter.o.ready
        with m.If(asked):
            m.d.sync += [
                axi.arvalid.eq(1),
                axi.araddr.eq(splitter.o.payload.addr * UNIT_BYTES),
                axi.arlen.eq(splitter.o.payload.units * self.config.unit_beats - 1),
            ]
        answered = axi.rvalid & axi.rready & axi.rlast
        m.d.sync += outstanding.eq(outstanding + asked - answered)
