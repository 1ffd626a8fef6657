"""Reorder buffer: holds beats of the KV cache until attention wants them."""

from amaranth import *
from amaranth.lib import stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from ..spec.config import KV_BLOCK


__all__ = ["ReorderBuffer"]


class ReorderBuffer(wiring.Component):
    """Keep beats in a ring, from which they are read in another order than they came in.

    Holds the values of two blocks: those that are read, while keys and values come that follow.

    Throughput is one beat per cycle. A beat can be read in the cycle after it came.

    Parameters
    ----------
    config : :class:`~rtl.spec.config.Config`
        Its `head_dim` and `beat_bits` are used.

    Attributes
    ----------
    depth : :class:`int`
        Places of the ring.

    Members
    -------
    data : :py:`In(stream.Signature(beat_bits))`
        Beats from memory. `ready` is a register.
    at : :py:`In(1 + log2(depth))`
        Beat to read: beats are numbered as they come, from 0 on.
    there : :py:`Out(1)`
        It has come.
    free : :py:`In(1 + log2(depth))`
        Beats before this one are not read any more.
    beat : :py:`Out(beat_bits)`
        Beat that was read, a cycle after `at`.
    """

    MARGIN = 4  # Places that stay empty: `ready` falls two beats late.

    def __init__(self, config):
        self.depth = 2 * KV_BLOCK * (config.head_dim // config.beat_bytes)
        pointer = range(2 * self.depth)
        super().__init__(
            {
                "data": In(stream.Signature(config.beat_bits)),
                "at": In(pointer),
                "there": Out(1),
                "free": In(pointer),
                "beat": Out(config.beat_bits),
            }
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.beats = beats = Memory(
            shape=len(self.beat), depth=self.depth, init=[], attrs={"ram_style": "block"}
        )
        write_port, read_port = beats.write_port(), beats.read_port()

        come = Signal.like(self.at)
        used, ahead = Signal.like(self.at), Signal.like(self.at)
        m.d.comb += [
            write_port.addr.eq(come),
            write_port.data.eq(self.data.payload),
            write_port.en.eq(self.data.valid & self.data.ready),
            read_port.addr.eq(self.at),
            self.beat.eq(read_port.data),
            used.eq(come - self.free),
            # Of beats that came, the one at `at` and later ones: never so many as there are places.
            ahead.eq(come + ~self.at),
            self.there.eq(~ahead[-1]),
        ]
        m.d.sync += self.data.ready.eq(used < self.depth - self.MARGIN)
        with m.If(write_port.en):
            m.d.sync += come.eq(come + 1)

        return m
