"""Blocks of the KV cache, head by head."""

from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ..spec.config import KV_BLOCK
from ..spec.limits import CACHE_BITS, HEAD_BITS, LENGTH_BITS, UNIT_ADDRESS_BITS
from .window import WindowStart


__all__ = ["Block", "WalkCommand", "BlockWalk"]


# `count` positions of the block at `addr`, of which the first `skip` lie before a window. `first`
# and `last` block of a head; `final` of all.
Block = data.StructLayout(
    {"addr": UNIT_ADDRESS_BITS, "count": 6, "skip": 5, "first": 1, "last": 1, "final": 1}
)

WalkCommand = data.StructLayout(
    {
        "heads": HEAD_BITS,
        "addr": UNIT_ADDRESS_BITS,
        "stride": CACHE_BITS,
        "length": LENGTH_BITS,
        "window": LENGTH_BITS,
        "newest": UNIT_ADDRESS_BITS,
    }
)


class BlockWalk(wiring.Component):
    """Visit the blocks of all heads, as :func:`rtl.spec.kv.blocks`.

    Latency is one cycle from `command`, with a window eight more. Throughput is a block every
    second cycle.

    Parameters
    ----------
    config : :class:`~rtl.spec.config.Config`
        Its `head_dim` is used.

    Members
    -------
    command : :py:`In(stream.Signature(WalkCommand))`
        Heads to visit: `length` positions (at least one) of each, or the last `window` of them.
        Taken when the last block of the last command is.
    o : :py:`Out(stream.Signature(Block))`
        Blocks.
    """

    def __init__(self, config):
        self.config = config
        super().__init__(
            {"command": In(stream.Signature(WalkCommand)), "o": Out(stream.Signature(Block))}
        )

    def elaborate(self, platform):
        m = Module()
        m.submodules.window = window = WindowStart(self.config)

        # Of the head at hand: `addr` of the command and `top` are the ends of its ring, `begin` is
        # its first block. It has `length` positions from there on, `skip` of them before a window.
        command = Signal(WalkCommand, reset_less=True)
        begin = Signal(UNIT_ADDRESS_BITS, reset_less=True)
        top = Signal(UNIT_ADDRESS_BITS, reset_less=True)
        ring = Signal(reset_less=True)
        skip = Signal(range(KV_BLOCK), reset_less=True)

        block = self.o.p
        addr = Signal(UNIT_ADDRESS_BITS, reset_less=True)
        left = Signal(LENGTH_BITS, reset_less=True)
        first = Signal(reset_less=True)
        m.d.comb += [
            getattr(window, name).eq(command[name])
            for name in ("length", "window", "addr", "newest", "stride")
        ]
        m.d.comb += [
            block.addr.eq(addr),
            block.count.eq(Mux(block.last, left, KV_BLOCK)),
            block.skip.eq(Mux(first, skip, 0)),
            block.first.eq(first),
            block.last.eq(left <= KV_BLOCK),
            block.final.eq(block.last & (command.heads == 1)),
        ]
        waited = Signal(range(window.LATENCY + 1))

        with m.FSM():
            with m.State("IDLE"):
                m.d.comb += self.command.ready.eq(1)
                m.d.sync += [
                    command.eq(self.command.p),
                    addr.eq(self.command.p.addr),
                    begin.eq(self.command.p.addr),
                    left.eq(self.command.p.length),
                    ring.eq(self.command.p.window != 0),
                    skip.eq(0),
                    first.eq(1),
                ]
                with m.If(self.command.valid):
                    m.next = "BLOCKS"
                    with m.If(self.command.p.window != 0):
                        m.next = "WINDOW"

            with m.State("WINDOW"):
                m.d.sync += [
                    waited.eq(waited + 1),
                    addr.eq(window.first),
                    begin.eq(window.first),
                    top.eq(window.top),
                    left.eq(window.left),
                    skip.eq(window.skip),
                ]
                with m.If(waited == window.LATENCY):
                    m.d.sync += [waited.eq(0), command.length.eq(window.left)]
                    m.next = "BLOCKS"

            with m.State("BLOCKS"):
                m.d.comb += self.o.valid.eq(1)
                with m.If(self.o.ready):
                    m.d.sync += first.eq(block.last)
                    with m.If(block.last):
                        self.next_head(m, command, [command.addr, begin, top])
                        m.d.sync += [addr.eq(begin + command.stride), left.eq(command.length)]
                    with m.Else():
                        following = addr + self.config.kv_block_units
                        m.d.sync += [
                            addr.eq(Mux(ring & (addr == top), command.addr, following)),
                            left.eq(left - KV_BLOCK),
                        ]
                    with m.If(block.final):
                        m.next = "IDLE"

        return m

    def next_head(self, m, command, addresses):
        """Go on to the next head, whose addresses are these, further by `stride`."""
        m.d.sync += command.heads.eq(command.heads - 1)
        m.d.sync += [address.eq(address + command.stride) for address in addresses]
