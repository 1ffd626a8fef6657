"""Output queue of a pipeline that cannot stall."""

from amaranth import *
from amaranth.lib import fifo, stream, wiring
from amaranth.lib.wiring import In, Out


__all__ = ["OutputQueue", "capacity"]


def capacity(latency):
    """Payloads that pipeline and queue hold at most: enough for one to enter in every cycle."""
    # A place is free again in the cycle after its payload is taken.
    return 1 << latency.bit_length()


class OutputQueue(wiring.Component):
    """Queue behind a pipeline that never stops, which lets in no more than the queue has room for.

    An enable of thousands of registers would be a core's slowest net. So its pipeline always
    advances, and what enters it must have a place in this queue: credits are counted.

    Throughput is one payload per cycle.

    Parameters
    ----------
    shape : shape-like
        Payload.
    latency : :class:`int`
        Cycles from `enter` to the payload at `o`, one more than to that at `i`.

    Members
    -------
    room : :py:`Out(1)`
        One more may enter.
    enter : :py:`In(1)`
        One enters the pipeline. Must be low while `room` is.
    i : :py:`In(shape)`
        End of the pipeline.
    o : :py:`Out(stream.Signature(shape))`
        Payloads in order.
    """

    def __init__(self, shape, *, latency):
        if not isinstance(latency, int) or latency < 2:
            raise ValueError(f"Latency must be at least two cycles, not {latency!r}")
        self.latency = latency
        super().__init__(
            {
                "room": Out(1, init=1),
                "enter": In(1),
                "i": In(shape),
                "o": Out(stream.Signature(shape)),
            }
        )

    def elaborate(self, platform):
        m = Module()

        i, o = (Value.cast(payload) for payload in (self.i, self.o.payload))
        places = capacity(self.latency)
        m.submodules.queue = queue = fifo.SyncFIFO(width=len(i), depth=places)
        free = Signal(range(places + 1), init=places)
        following = Signal.like(free)
        leave = Signal()
        inside = Signal(self.latency - 1)
        m.d.comb += [
            following.eq(free - self.enter + leave),
            leave.eq(self.o.valid & self.o.ready),
            queue.w_en.eq(inside[-1]),
            queue.w_data.eq(i),
            queue.r_en.eq(leave),
            self.o.valid.eq(queue.r_rdy),
            o.eq(queue.r_data),
        ]
        m.d.sync += [
            free.eq(following),
            self.room.eq(following != 0),
            inside.eq(Cat(self.enter, inside)),
        ]

        return m
