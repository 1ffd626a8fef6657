"""Instruction queue of one unit."""

from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ..bus.fifo import Fifo
from ..spec.isa import WORD_BITS, Op, Sync
from ..spec.limits import PC_BITS
from ..spec.payloads import Dispatched
from .tokens import TokenPort


__all__ = ["UnitQueue"]


class UnitQueue(wiring.Component):
    """Keep the instructions of a unit, in order, and execute the :class:`~rtl.spec.isa.Sync` among
    them.

    The instruction at the head is offered to the unit. A Sync waits until the unit is idle, then
    until its tokens are taken and given.

    Latency is two cycles, three of more than 16 instructions. Throughput is one instruction every two cycles, one Sync every three.

    Parameters
    ----------
    depth : :class:`int`
        Instructions held: a power of two of at least 2. Up to two more are on their way to the
        unit.
    bits : :class:`int`
        Lowest bits of an instruction that are kept. The others are 0 for the unit.

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

    def __init__(self, depth, bits=WORD_BITS):
        if not isinstance(bits, int) or not Sync.layout.size <= bits <= WORD_BITS:
            raise ValueError(
                f"Bits of an instruction must be from {Sync.layout.size} to {WORD_BITS}, not {bits!r}"
            )
        self.bits = bits
        self._queue = Fifo(data.StructLayout({"word": bits, "pc": PC_BITS}), depth)
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

        m.submodules.queue = queue = self._queue
        m.d.comb += [
            queue.i.valid.eq(self.i.valid),
            queue.i.payload.word.eq(self.i.payload.word),
            queue.i.payload.pc.eq(self.i.payload.pc),
            self.i.ready.eq(queue.i.ready),
        ]
        # The head is registered, because a large queue's memory output arrives late. The next one
        # is read once the register is empty, so that the unit's `ready` never reaches the memory's
        # enable.
        following = queue.o.payload
        head = Signal(following.shape(), reset_less=True)
        valid, taken = Signal(), Signal()
        sync = data.View(Sync.layout, head.word[: Sync.layout.size])
        is_sync = Signal(reset_less=True)
        syncing = Signal()
        m.d.comb += queue.o.ready.eq(~valid)
        with m.If(valid):
            m.d.sync += valid.eq(~taken)
        with m.Else():
            m.d.sync += [
                valid.eq(queue.o.valid),
                head.eq(following),
                is_sync.eq(
                    data.View(Sync.layout, following.word[: Sync.layout.size]).op == Op.SYNC
                ),
            ]

        m.d.comb += [
            self.o.payload.word.eq(head.word),
            self.o.payload.pc.eq(head.pc),
            self.empty.eq(queue.empty & ~valid),
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
