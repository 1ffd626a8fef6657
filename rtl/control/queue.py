"""Instruction queue of one unit."""

from amaranth import *
from amaranth.lib import data, fifo, stream, wiring
from amaranth.lib.wiring import In, Out

from ..spec.isa import Op, Sync
from ..spec.limits import PC_BITS
from ..spec.payloads import Dispatched
from .tokens import TokenPort


__all__ = ["UnitQueue"]


class UnitQueue(wiring.Component):
    """Keep the instructions of a unit, in order, and execute the :class:`~rtl.spec.isa.Sync` among
    them.

    The instruction at the head is offered to the unit. A Sync waits until the unit is idle, then
    until its tokens are taken and given.

    Latency is three cycles. Throughput is one instruction every two cycles, one Sync every three.

    Parameters
    ----------
    depth : :class:`int`
        Instructions held.

    Members
    -------
    i : :py:`In(stream.Signature(Dispatched))`
        Instructions from the sequencer.
    o : :py:`Out(stream.Signature(Dispatched))`
        Instructions for the unit.
    busy : :py:`In(1)`
        The unit is not done with the instruction taken last.
    tokens : :py:`Out(TokenPort())`
        Token counters.
    stop : :py:`In(1)`
        Pass nothing more on.
    empty : :py:`Out(1)`
        No instruction is held.
    passed : :py:`Out(1)`
        An instruction left in the cycle before.
    pc : :py:`Out(PC_BITS)`
        Index in the program of the instruction that the unit took last.
    """

    def __init__(self, depth):
        if not isinstance(depth, int) or depth < 2:
            raise ValueError(f"Queue depth must be an integer of at least 2, not {depth!r}")
        self.depth = depth
        super().__init__(
            {
                "i": In(stream.Signature(Dispatched)),
                "o": Out(stream.Signature(Dispatched)),
                "busy": In(1),
                "tokens": Out(TokenPort()),
                "stop": In(1),
                "empty": Out(1),
                "passed": Out(1),
                "pc": Out(PC_BITS),
            }
        )

    def elaborate(self, platform):
        m = Module()

        m.submodules.queue = queue = fifo.SyncFIFOBuffered(width=Dispatched.size, depth=self.depth)
        wiring.connect(m, wiring.flipped(self.i), queue.w_stream)
        # The head is registered, because a large queue's memory output arrives late. The next one
        # is read once the register is empty, so that the unit's `ready` never reaches the memory's
        # enable.
        head, valid, taken = Signal(Dispatched, reset_less=True), Signal(), Signal()
        sync = data.View(Sync.layout, head.word[: Sync.layout.size])
        is_sync = Signal(reset_less=True)
        syncing = Signal()
        m.d.comb += queue.r_en.eq(~valid)
        with m.If(valid):
            m.d.sync += valid.eq(~taken)
        with m.Else():
            following = data.View(Dispatched, queue.r_data)
            m.d.sync += [
                valid.eq(queue.r_rdy),
                head.eq(following),
                is_sync.eq(
                    data.View(Sync.layout, following.word[: Sync.layout.size]).op == Op.SYNC
                ),
            ]

        m.d.comb += [
            self.o.payload.eq(head),
            self.empty.eq((queue.level == 0) & ~valid),
            self.tokens.take.eq(sync.take),
            self.tokens.give.eq(sync.give),
            self.tokens.valid.eq(syncing),
        ]
        with m.If(valid & ~self.stop):
            with m.If(is_sync):
                # Registered: keeps the decoder out of the counters' path.
                m.d.sync += syncing.eq(~self.busy & ~self.tokens.done)
                m.d.comb += taken.eq(self.tokens.done)
            with m.Else():
                m.d.comb += [self.o.valid.eq(1), taken.eq(self.o.ready)]
        m.d.sync += self.passed.eq(taken)
        with m.If(self.o.valid & self.o.ready):
            m.d.sync += self.pc.eq(head.pc)

        return m
