"""Where a window begins in a ring of blocks."""

from amaranth import *
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from ..spec.config import KV_BLOCK
from ..spec.limits import CACHE_BITS, LENGTH_BITS, UNIT_ADDRESS_BITS


__all__ = ["WindowStart"]


class WindowStart(wiring.Component):
    """Find the first block of a window, as :func:`rtl.spec.kv.blocks`.

    Latency is `LATENCY` cycles from inputs that stay.

    Parameters
    ----------
    config : :class:`~rtl.spec.config.Config`
        Its `head_dim` is used.

    Members
    -------
    length, window : :py:`In(20)`, :py:`In(20)`
        Positions, and how many of the last ones count.
    addr, newest : :py:`In(32)`, :py:`In(32)`
        First block of the ring, and that of the last position.
    stride : :py:`In(24)`
        Units of the ring.
    skip : :py:`Out(range(32))`
        Positions of the first block that lie before the window.
    left : :py:`Out(20)`
        Positions from the first block on.
    first, top : :py:`Out(32)`, :py:`Out(32)`
        First block, and the last one of the ring.
    """

    LATENCY = 7

    def __init__(self, config):
        self.config = config
        super().__init__(
            {
                "length": In(LENGTH_BITS),
                "window": In(LENGTH_BITS),
                "addr": In(UNIT_ADDRESS_BITS),
                "newest": In(UNIT_ADDRESS_BITS),
                "stride": In(CACHE_BITS),
                "skip": Out(range(KV_BLOCK)),
                "left": Out(LENGTH_BITS),
                "first": Out(UNIT_ADDRESS_BITS),
                "top": Out(UNIT_ADDRESS_BITS),
            }
        )

    def elaborate(self, platform):
        m = Module()
        block_units = self.config.kv_block_units
        block_bits = KV_BLOCK.bit_length() - 1

        start = Signal(LENGTH_BITS, reset_less=True)
        behind = Signal(LENGTH_BITS - block_bits, reset_less=True)  # blocks behind the first one
        back = Signal(CACHE_BITS, reset_less=True)  # units of them
        newest = Signal(CACHE_BITS, reset_less=True)  # from the ring's first block on, as these
        turned = Signal(signed(CACHE_BITS + 1), reset_less=True)
        offset = Signal(CACHE_BITS, reset_less=True)
        size = Signal(CACHE_BITS, reset_less=True)
        m.d.comb += self.skip.eq(start[:block_bits])
        m.d.sync += [
            start.eq(Mux(self.length > self.window, self.length - self.window, 0)),
            self.left.eq(self.length - Cat(C(0, block_bits), start[block_bits:])),
            behind.eq((self.left - 1)[block_bits:]),
            back.eq(behind + behind * (block_units - 1)),  # a power of two: no multiplier
            newest.eq(self.newest - self.addr),
            turned.eq(newest - back),
            offset.eq(Mux(turned < 0, turned + self.stride, turned)),
            self.first.eq(self.addr + offset),
            size.eq(self.stride - block_units),
            self.top.eq(self.addr + size),
        ]
        return m
