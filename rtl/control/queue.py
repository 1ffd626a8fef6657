"""Instruction queue of one unit."""

from amaranth import *
from amaranth.lib import data, fifo, stream, wiring
from amaranth.lib.wiring import In, Out

from ..spec.isa import Op, Sync
from ..spec.limits import PC_BITS
from ..spec.payloads import Dispatched
from .tokens import TokenPort


__all__ = ["UnitQueue"]


AHEAD = 7  # instructions that a unit may have taken, and not completed


class UnitQueue(wiring.Component):
    """Keep the instructions of a unit, in order, and execute the :class:`~rtl.spec.isa.Sync` among
    them.

    The instruction at the head is offered to the unit. A Sync waits until the unit has completed
    all before it. One that takes a token waits at the head, and what follows waits with it. One
    that only gives waits beside the queue, so that the unit begins what follows; there is room
    for one.

    Latency is three cycles. Throughput is one instruction every two cycles, one Sync that takes
    every three. A token is given in the cycle after the unit is done.

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
    done : :py:`In(1)`
        The unit has completed an instruction, the first of those that it took and did not complete
        yet.
    tokens : :py:`Out(TokenPort())`
        Token counters.
    stop : :py:`In(1)`
        Pass nothing more on.
    empty : :py:`Out(1)`
        No instruction is held, nor a token due.
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
                "done": In(1),
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
        is_sync, takes = Signal(reset_less=True), Signal(reset_less=True)
        syncing = Signal()
        m.d.comb += queue.r_en.eq(~valid)
        with m.If(valid):
            m.d.sync += valid.eq(~taken)
        with m.Else():
            following = data.View(Dispatched, queue.r_data)
            next_sync = data.View(Sync.layout, following.word[: Sync.layout.size])
            m.d.sync += [
                valid.eq(queue.r_rdy),
                head.eq(following),
                is_sync.eq(next_sync.op == Op.SYNC),
                takes.eq(next_sync.take != 0),
            ]

        # Instructions that the unit has not completed: all, and those before the token that is due.
        left, before = Signal(range(AHEAD + 1)), Signal(range(AHEAD + 1))
        due, give = Signal(), Signal.like(sync.give, reset_less=True)
        sent = Signal()
        m.d.sync += left.eq(left + sent - self.done)
        with m.If(before != 0):
            m.d.sync += before.eq(before - self.done)

        m.d.comb += [
            self.o.payload.eq(head),
            self.empty.eq((queue.level == 0) & ~valid & ~due),
            self.tokens.take.eq(Mux(due, 0, sync.take)),
            self.tokens.give.eq(Mux(due, give, sync.give)),
            self.tokens.valid.eq(syncing | due & (before == 0) & ~self.stop),
            sent.eq(self.o.valid & self.o.ready),
        ]
        with m.If(due & self.tokens.done):
            m.d.sync += due.eq(0)
        with m.If(valid & ~self.stop):
            with m.If(~is_sync):
                m.d.comb += [self.o.valid.eq(left != AHEAD), taken.eq(sent)]
            with m.Elif(~takes):
                m.d.comb += taken.eq(~due)
                with m.If(~due):
                    m.d.sync += [due.eq(1), give.eq(sync.give), before.eq(left - self.done)]
            with m.Else():
                # Registered: keeps the decoder out of the counters' path.
                m.d.sync += syncing.eq((left == self.done) & ~due & ~self.tokens.done)
                m.d.comb += taken.eq(syncing & self.tokens.done)
        m.d.sync += self.passed.eq(taken)
        with m.If(sent):
            m.d.sync += self.pc.eq(head.pc)

        return m
