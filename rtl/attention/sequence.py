"""Order in which attention visits the blocks of the KV cache."""

from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ..spec.config import KV_BLOCK, UNIT_BYTES
from ..spec.payloads import ReadRequest
from .blocks import Block, BlockWalk, WalkCommand


__all__ = ["Phase", "BlockSequence"]


# The keys, or values, of one block: `count` positions of it, of which the first `skip` are read and
# do not count. `first` and `last` block of a head.
Phase = data.StructLayout({"value": 1, "count": 6, "skip": 5, "first": 1, "last": 1})


class BlockSequence(wiring.Component):
    """Request the keys and values of all blocks of all heads, and announce what will come.

    The blocks of all heads, one after the other, are visited with the values one block behind the
    keys: K0 K1 V0 K2 V1 ... Kn V(n-1) Vn. While the keys of a block stream in there is time to turn
    the scores of the block before it into weights, to rescale the accumulators, and to write the
    results of the head before: nothing of it costs a beat.

    The request of keys begins with the block's unit of exponents, so keys before a window come
    with it, and have to be skipped. Otherwise only valid positions are requested. How far requests
    run ahead of their data is up to those who take both streams.

    Latency is two cycles from `command`, with a window eight more; throughput is one phase per
    cycle.

    Parameters
    ----------
    config : :class:`~rtl.spec.config.Config`
        Its `head_dim` is used.

    Members
    -------
    command : :py:`In(stream.Signature(WalkCommand))`
        Heads to visit, as of :class:`BlockWalk`.
    req : :py:`Out(stream.Signature(ReadRequest))`
        Requests, one per phase.
    phase : :py:`Out(stream.Signature(Phase))`
        Phases, in the order of the requests.
    """

    def __init__(self, config):
        self.config = config
        super().__init__(
            {
                "command": In(stream.Signature(WalkCommand)),
                "req": Out(stream.Signature(ReadRequest)),
                "phase": Out(stream.Signature(Phase)),
            }
        )

    def elaborate(self, platform):
        m = Module()
        line_units = self.config.head_dim // UNIT_BYTES
        m.submodules.walk = walk = BlockWalk(self.config)
        wiring.connect(m, wiring.flipped(self.command), walk.command)

        # The block whose keys are next, and that whose values are: from their first unit on.
        ahead, advance = walk.o, walk.o.ready
        behind = Signal(Block, reset_less=True)
        with m.If(advance):
            m.d.sync += [
                behind.eq(ahead.p),
                behind.addr.eq(ahead.p.addr + 1 + (KV_BLOCK + ahead.p.skip) * line_units),
                behind.count.eq(ahead.p.count - ahead.p.skip),
                behind.skip.eq(0),
            ]

        free = Signal()
        m.d.comb += free.eq(
            (~self.req.valid | self.req.ready) & (~self.phase.valid | self.phase.ready)
        )
        with m.If(self.req.ready):
            m.d.sync += self.req.valid.eq(0)
        with m.If(self.phase.ready):
            m.d.sync += self.phase.valid.eq(0)

        primed = Signal()
        with m.FSM():
            with m.State("KEYS"):
                with m.If(free & ahead.valid):
                    m.d.sync += self.emit(0, ahead.p, ahead.p.count * line_units + 1)
                    m.d.sync += primed.eq(1)
                    m.d.comb += advance.eq(~primed)
                    with m.If(primed | ahead.p.final):
                        m.next = "VALUES"

            with m.State("VALUES"):
                with m.If(free):
                    m.d.sync += self.emit(1, behind, behind.count * line_units)
                    with m.If(behind.final):
                        m.d.sync += primed.eq(0)
                        m.next = "KEYS"
                    with m.Else():
                        m.d.comb += advance.eq(1)
                        with m.If(~ahead.p.final):
                            m.next = "KEYS"

        return m

    def emit(self, value, block, size):
        """Assignments that request a phase of a block, and announce it."""
        return [
            self.req.valid.eq(1),
            self.req.p.addr.eq(block.addr),
            self.req.p.size.eq(size),
            self.phase.valid.eq(1),
            self.phase.p.value.eq(value),
            self.phase.p.count.eq(block.count),
            self.phase.p.skip.eq(block.skip),
            self.phase.p.first.eq(block.first),
            self.phase.p.last.eq(block.last),
        ]
