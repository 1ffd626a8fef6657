"""Head of a unit's instruction queue."""

from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ..spec.isa import WORD_BITS, Op, Sync
from ..spec.limits import PC_BITS
from ..spec.payloads import Dispatched
from .tokens import TokenPort


__all__ = ["UnitQueue"]


class UnitQueue(wiring.Component):
    """Offer a unit its instructions, in order, and execute the :class:`~rtl.spec.isa.Sync` among
    them.

    They come from :class:`~.store.InstructionStore`, one at a time. A Sync waits until the unit is
    idle, then until its tokens are taken and given.

    Latency is one cycle. Behind the store, throughput is one instruction every three cycles, one
    Sync every four.

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
                "busy": In(1),
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
        is_sync = Signal(reset_less=True)
        syncing = Signal()
        with m.If(valid):
            m.d.sync += valid.eq(~taken)
        with m.Else():
            following = self.i.payload
            m.d.sync += [
                valid.eq(self.i.valid),
                word.eq(following.word),
                pc.eq(following.pc),
                is_sync.eq(
                    data.View(Sync.layout, following.word[: Sync.layout.size]).op == Op.SYNC
                ),
            ]

        m.d.comb += [
            self.i.ready.eq(~valid),
            self.o.payload.word.eq(word),
            self.o.payload.pc.eq(pc),
            self.empty.eq(~valid),
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
            m.d.sync += self.pc.eq(pc)

        return m
