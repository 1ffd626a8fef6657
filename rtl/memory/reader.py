"""Memory reader: several clients share the AXI4 read channels."""

from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ..bus.axi import INCR, AXI4Read
from ..bus.fifo import Fifo
from ..spec.config import UNIT_BYTES
from ..spec.csr import FaultCode
from ..spec.limits import MAX_BURST_BEATS
from ..spec.payloads import ReadRequest
from .bursts import Bursts


__all__ = ["ADDR_WIDTH", "ID_WIDTH", "MemoryReader"]


ADDR_WIDTH = 40
ID_WIDTH = 4


class MemoryReader(wiring.Component):
    """Serve read requests of several clients from one AXI4 port.

    A request becomes INCR bursts of at most 64 beats, a quarter of the client's buffer and 4 KB;
    none is shorter than a unit.
    A burst is issued only when the client's buffer has room for its longest: memory is never held
    up (`rready` is constant), a client that waits does not block another, and many bursts are
    outstanding. Among clients that can issue, the one with the highest number does: let number 0
    be the one that runs ahead furthest. A burst's identifier is its client's number; bursts of
    different clients may be answered in any order or interleaved.

    Latency is five cycles from request to `arvalid`, three from a beat on the bus to the same
    beat at the client. Throughput is one beat per cycle, for a client whose buffer covers the
    latency of memory plus a burst, and whose bursts are of four beats or more.

    Parameters
    ----------
    config : :class:`~rtl.spec.config.Config`
        Configuration.
    depths : iterable of :class:`int`
        Beats that each client's buffer holds: powers of two, at least 16 and at least 2 units.

    Attributes
    ----------
    burst_units : :class:`list` of :class:`int`
        Longest burst of each client.

    Members
    -------
    req : :py:`In(stream.Signature(ReadRequest)).array(clients)`
        Requests of each client.
    data : :py:`Out(stream.Signature(config.beat_bits)).array(clients)`
        Beats of each client, in the order of its requests.
    axi : :py:`Out(AXI4Read(40, config.beat_bits, 4))`
        Memory.
    limit : :py:`In(32)`
        Units of DRAM that may be addressed.
    halt : :py:`In(1)`
        Issue nothing more.
    idle : :py:`Out(1)`
        Nothing is outstanding. May be trusted from four cycles after `halt`: then a reset loses
        the contents of the buffers, but no answer of memory meets a reader that forgot asking.
    beat : :py:`Out(1)`
        A beat arrived from memory.
    fault : :py:`Out(1)`
        A request, which is never accepted then, reaches beyond `limit`, or memory answered with
        an error. Held until reset, with the three below.
    fault_code : :py:`Out(FaultCode)`
        ADDRESS or BUS.
    fault_info : :py:`Out(32)`
        First unit of the refused request, or the AXI response.
    fault_client : :py:`Out(range(clients))`
        Client concerned.
    """

    def __init__(self, config, depths):
        self.config = config
        self.depths = list(depths)
        if not 1 <= len(self.depths) <= 1 << ID_WIDTH:
            raise ValueError(f"Clients must be from 1 to {1 << ID_WIDTH}, not {len(self.depths)}")
        for depth in self.depths:
            if not isinstance(depth, int) or depth < config.least_beats or depth & (depth - 1):
                raise ValueError(
                    f"Depth must be a power of two of at least "
                    f"{config.least_beats} beats, not {depth!r}"
                )
        self.burst_units = [
            max(1, min(MAX_BURST_BEATS, depth // 4) // config.unit_beats) for depth in self.depths
        ]
        clients = len(self.depths)
        super().__init__(
            {
                "req": In(stream.Signature(ReadRequest)).array(clients),
                "data": Out(stream.Signature(config.beat_bits)).array(clients),
                "axi": Out(AXI4Read(ADDR_WIDTH, config.beat_bits, ID_WIDTH)),
                "limit": In(32),
                "halt": In(1),
                "idle": Out(1, init=1),
                "beat": Out(1),
                "fault": Out(1),
                "fault_code": Out(8),
                "fault_info": Out(32),
                "fault_client": Out(range(clients)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        axi, unit_beats = self.axi, self.config.unit_beats

        # Beats enter a register first: the bus crosses the chip, and fans out to every buffer.
        r_valid = Signal()
        r = Signal(
            data.StructLayout(
                {"id": ID_WIDTH, "data": self.config.beat_bits, "resp": 2, "last": 1}
            ),
            reset_less=True,
        )
        m.d.comb += [axi.rready.eq(1), self.beat.eq(r_valid)]
        m.d.sync += [
            r_valid.eq(axi.rvalid),
            r.id.eq(axi.rid),
            r.data.eq(axi.rdata),
            r.resp.eq(axi.rresp),
            r.last.eq(axi.rlast),
        ]

        m.submodules.bursts = bursts = Bursts(self.burst_units)
        burst = bursts.o.payload
        beats = Signal(range(MAX_BURST_BEATS + 1))
        issued = Signal()
        m.d.comb += [
            axi.arsize.eq((self.config.beat_bytes - 1).bit_length()),
            axi.arburst.eq(INCR),
            axi.arvalid.eq(bursts.o.valid),
            axi.arid.eq(burst.client),
            axi.araddr.eq(burst.addr << UNIT_BYTES.bit_length() - 1),
            axi.arlen.eq(beats - 1),
            beats.eq(burst.units << unit_beats.bit_length() - 1),
            bursts.o.ready.eq(axi.arready),
            issued.eq(axi.arvalid & axi.arready),
            bursts.limit.eq(self.limit),
            bursts.halt.eq(self.halt),
        ]

        for n, depth in enumerate(self.depths):
            wiring.connect(m, wiring.flipped(self.req[n]), bursts.i[n])
            buffer = m.submodules[f"buffer{n}"] = Fifo(self.config.beat_bits, depth)
            m.d.comb += [
                buffer.i.payload.eq(r.data),
                buffer.i.valid.eq(r_valid & (r.id == n)),
            ]
            wiring.connect(m, buffer.o, wiring.flipped(self.data[n]))

            longest = self.burst_units[n] * unit_beats
            room = Signal(range(depth + 1), init=depth)  # beats neither buffered nor on the way
            gone = Signal(name=f"gone{n}")  # a beat left; arrives late, so it counts a cycle later
            m.d.comb += bursts.room[n].eq(room[(longest - 1).bit_length() :].any())
            m.d.sync += [
                gone.eq(buffer.o.valid & buffer.o.ready),
                room.eq(room + gone - Mux(issued & (burst.client == n), beats, 0)),
            ]

        outstanding = Signal(range(sum(self.depths) + 1))  # bursts
        m.d.sync += [
            outstanding.eq(outstanding + issued - (r_valid & r.last)),
            self.idle.eq((outstanding == 0) & ~bursts.busy),
        ]

        with m.If(~self.fault):
            with m.If(r_valid & r.resp[1]):
                m.d.sync += [
                    self.fault.eq(1),
                    self.fault_code.eq(FaultCode.BUS),
                    self.fault_info.eq(r.resp),
                    self.fault_client.eq(r.id),
                ]
            with m.Elif(bursts.fault):
                m.d.sync += [
                    self.fault.eq(1),
                    self.fault_code.eq(FaultCode.ADDRESS),
                    self.fault_info.eq(burst.addr),
                    self.fault_client.eq(burst.client),
                ]

        return m
