"""Head of a unit's instruction queue."""

from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ..spec.isa import WORD_BITS, Op, Sync
from ..spec.limits import PC_BITS
from ..spec.payloads import Dispatched
from .tokens import TokenPort


__all__ = ["UnitQueue"]


AHEAD = 7  # instructions that a unit may have taken, and not completed


class UnitQueue(wiring.Component):
    """Offer a unit its instructions, in order, and execute the :class:`~rtl.spec.isa.Sync` among
    them.

    They come from :class:`~.store.InstructionStore`, one at a time. A Sync waits until the unit has
    completed all before it. One that takes a token waits at the head, and what follows waits with
    it. One that only gives waits beside the queue, so that the unit begins what follows; there is
    room for one.

    Latency is one cycle. Behind the store, throughput is one instruction every three cycles, one
    Sync that takes every four. A token is given in the cycle after the unit is done.

    Parameters
    ----------
    bits : :class:`int`
        Lowest bits of an instruction that the unit reads. The others are 0.

    Members
    -------
    i : :py:`In(stream.Signature(Dispatched))`
        Instructions.
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

    def __init__(self, bits=WORD_BITS):
        if not isinstance(bits, int) or not Sync.layout.size <= bits <= WORD_BITS:
            raise ValueError(
                f"Bits of an instruction must be from {Sync.layout.size} to {WORD_BITS}, "
                f"not {bits!r}"
            )
        self.bits = bits
        super().__init__(
            {
                "i": In(stream.Signature(Dispatched)),
                "o": Out(stream.Signature(Dispatched)),
                "done": In(1),
                "tokens": Out(TokenPort()),
                "stop": In(1),
                "empty": Out(1, init=1),
                "passed": Out(1),
                "pc": Out(PC_BITS),
            }
        )

    def elaborate(self, platform):
        m = Module()

        # Registered, because the store's output arrives late. The next one is wanted once the
        # register is empty, so that the unit's `ready` never reaches the store.
        word, pc = Signal(self.bits, reset_less=True), Signal(PC_BITS, reset_less=True)
        valid, taken = Signal(), Signal()
        sync = data.View(Sync.layout, word[: Sync.layout.size])
        is_sync, takes = Signal(reset_less=True), Signal(reset_less=True)
        syncing = Signal()
        with m.If(valid):
            m.d.sync += valid.eq(~taken)
        with m.Else():
            following = self.i.payload
            next_sync = data.View(Sync.layout, following.word[: Sync.layout.size])
            m.d.sync += [
                valid.eq(self.i.valid),
                word.eq(following.word),
                pc.eq(following.pc),
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
            self.i.ready.eq(~valid),
            self.o.payload.word.eq(word),
            self.o.payload.pc.eq(pc),
            self.empty.eq(~valid & ~due),
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
            m.d.sync += self.pc.eq(pc)

        return m
