"""Turns the read requests of several clients into bursts that memory accepts."""

from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from ..spec.limits import MAX_BURST_UNITS
from ..spec.payloads import ReadRequest


__all__ = ["ClientBurst", "Bursts"]


def ClientBurst(clients):
    """A burst of `units` units of 64 bytes, for one of the clients."""
    return data.StructLayout(
        {
            "client": range(clients),
            "addr": ReadRequest["addr"].shape,
            "units": range(MAX_BURST_UNITS + 1),
        }
    )


class Bursts(wiring.Component):
    """Check requests against the end of memory, and split them into bursts.

    One after the other: what is left of each client's request is in LUTs' memory. The client with
    the highest number goes first, among those that have a request, or one under way and room for a
    longest burst. Every burst but a request's first starts at a multiple of the longest, so none
    crosses 4 KB.

    Latency is five cycles from a request to its first burst. Throughput is one burst every four
    cycles, one request every six.

    Parameters
    ----------
    units : iterable of :class:`int`
        Longest burst of each client: powers of two from 1 to 64.

    Members
    -------
    i : :py:`In(stream.Signature(ReadRequest)).array(clients)`
        Requests. One of size zero is accepted, and yields no burst.
    room : :py:`In(clients)`
        There is room for the longest burst of this client. Heeds a burst at `o` in the next cycle.
    halt : :py:`In(1)`
        Begin no burst.
    o : :py:`Out(stream.Signature(ClientBurst(clients)))`
        Bursts.
    limit : :py:`In(32)`
        Units of DRAM that may be addressed.
    busy : :py:`Out(1)`
        A burst is about to be offered, or is.
    fault : :py:`Out(1)`
        The request `o.payload`, of whose size only the address shows, reaches beyond `limit`. It is
        never accepted, and nothing else is either.
    """

    def __init__(self, units):
        self.units = list(units)
        for most in self.units:
            if not isinstance(most, int) or not 1 <= most <= MAX_BURST_UNITS or most & (most - 1):
                raise ValueError(
                    f"Burst must be a power of two from 1 to {MAX_BURST_UNITS} units, not {most!r}"
                )
        clients = len(self.units)
        super().__init__(
            {
                "i": In(stream.Signature(ReadRequest)).array(clients),
                "room": In(clients),
                "halt": In(1),
                "o": Out(stream.Signature(ClientBurst(clients))),
                "limit": In(32),
                "busy": Out(1),
                "fault": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()

        clients = len(self.units)
        client = Signal(range(clients), reset_less=True)
        active = Signal(clients)  # a request is under way
        rest = Signal(ReadRequest, reset_less=True)  # of the client's request
        size = Signal.like(self.o.payload.units, reset_less=True)
        is_new = Signal(reset_less=True)

        m.submodules.rests = memory = Memory(shape=ReadRequest, depth=clients, init=[])
        write, read = memory.write_port(), memory.read_port(domain="comb")
        m.d.comb += [
            write.addr.eq(client),
            read.addr.eq(client),
            self.o.payload.client.eq(client),
            self.o.payload.addr.eq(rest.addr),
            self.o.payload.units.eq(size),
        ]

        # Of what `rest` was in the cycle before.
        m.d.sync += size.eq(self.longest(m, client, rest))

        # A sum of 33 bits, then a comparison: the verdict takes two cycles.
        end = Signal(len(rest.addr) + 1, reset_less=True)
        m.d.sync += end.eq(rest.addr + rest.size)

        with m.FSM() as fsm:
            with m.State("PICK"):
                for n, request in enumerate(self.i):
                    with m.If(Mux(active[n], self.room[n] & ~self.halt, request.valid)):
                        m.d.sync += [client.eq(n), is_new.eq(~active[n])]
                        m.next = "READ"
            with m.State("READ"):
                m.d.sync += rest.eq(read.data)
                m.next = "SIZE"
                with m.If(is_new):
                    m.d.sync += rest.eq(Array(request.payload for request in self.i)[client])
                    m.next = "SUM"
            with m.State("SUM"):
                m.next = "COMPARE"
            with m.State("COMPARE"):
                m.next = "ACCEPT"
                with m.If(end > self.limit):
                    m.next = "REFUSED"
            with m.State("ACCEPT"):
                m.d.comb += [write.en.eq(1), write.data.eq(rest)]
                with m.Switch(client):
                    for n, request in enumerate(self.i):
                        with m.Case(n):
                            m.d.comb += request.ready.eq(1)
                            m.d.sync += active[n].eq(rest.size != 0)
                m.next = "PICK"
                with m.If((rest.size != 0) & self.room.bit_select(client, 1) & ~self.halt):
                    m.next = "OFFER"
            with m.State("SIZE"):
                m.next = "OFFER"
            with m.State("OFFER"):
                m.d.comb += [
                    self.o.valid.eq(1),
                    write.en.eq(self.o.ready),
                    write.data.addr.eq(rest.addr + size),
                    write.data.size.eq(rest.size - size),
                ]
                with m.If(self.o.ready):
                    m.d.sync += active.bit_select(client, 1).eq(rest.size != size)
                    m.next = "PICK"
            with m.State("REFUSED"):
                m.d.comb += self.fault.eq(1)
        m.d.comb += self.busy.eq(
            fsm.ongoing("SIZE")
            | fsm.ongoing("OFFER")
            | fsm.ongoing("ACCEPT")
            | (fsm.ongoing("READ") & ~is_new)
        )

        return m

    def longest(self, m, client, rest):
        """Units of the longest burst that a client's request may begin with."""
        most, to_boundary = (Signal.like(self.o.payload.units) for _ in range(2))
        with m.Switch(client):
            for n, units in enumerate(self.units):
                with m.Case(n):
                    m.d.comb += most.eq(units)
        offset = rest.addr[: len(most) - 1] & (most - 1)[: len(most) - 1]
        m.d.comb += to_boundary.eq(most - offset)
        return Mux(rest.size > to_boundary, to_boundary, rest.size)
