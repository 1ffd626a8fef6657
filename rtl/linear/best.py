"""Search for the best logits."""

from amaranth import *
from amaranth.lib import data, fifo, memory, stream, wiring
from amaranth.lib.wiring import In, Out

from ..fp.format import MAX
from ..spec.csr import BEST
from ..spec.payloads import Logit


__all__ = ["BestLogits"]


LEAST = 1 << 31 | MAX  # of places that are left over


class BestLogits(wiring.Component):
    """Keep the best of a stream of logits, best first.

    The order is :func:`sw_ref.best.best`'s: of equal logits (-0 equals +0), the first one is ahead.
    Values keep their bits.

    An insertion sort in a memory. A logit that is not among the best, as nearly all are, takes two
    cycles; one that is takes two more, and one for each entry that moves down. Of n logits in
    random order, about BEST * (1 + ln(n / BEST)) are. A FIFO of `DEPTH` logits absorbs them. A
    systolic list would take a logit every cycle, but needs 64 comparators and 3,328 flip-flops.

    Members
    -------
    i : :py:`In(stream.Signature(Logit))`
        Logits.
    clear : :py:`In(1)`
        Forget all. Only while not `busy`.
    busy : :py:`Out(1)`
        A logit that was taken may not be in the list yet.
    index : :py:`In(6)`
        Place in the list, 0 is the best.
    entry : :py:`Out(Logit)`
        Logit at the `index` of the cycle before; -`MAX` with id 0 where fewer came. Not to be
        relied upon while `busy`.
    """

    DEPTH = 16

    def __init__(self):
        super().__init__(
            {
                "i": In(stream.Signature(Logit)),
                "clear": In(1),
                "busy": Out(1),
                "index": In(range(BEST)),
                "entry": Out(Logit),
            }
        )

    def elaborate(self, platform):
        m = Module()

        m.submodules.queue = queue = fifo.SyncFIFOBuffered(width=Logit.size, depth=self.DEPTH)
        m.d.comb += [
            queue.w_data.eq(self.i.payload),
            queue.w_en.eq(self.i.valid),
            self.i.ready.eq(queue.w_rdy),
        ]

        # The bits of an fp32, negative magnitudes inverted, are ordered as signed integers are.
        item = data.StructLayout({"key": signed(32), "id": 20})
        m.submodules.list = list_ = memory.Memory(shape=item, depth=BEST, init=[])
        write = list_.write_port()
        walk = list_.read_port()

        head = data.View(Logit, queue.r_data)
        key = Signal(signed(32))
        m.d.comb += key.eq(head.value ^ Mux(head.value[31], 0x7FFFFFFF, 0))

        new = Signal(item, reset_less=True)
        bound = Signal(signed(32), reset_less=True)  # the new logit goes ahead of keys below this
        worst = Signal(signed(32), reset_less=True)  # key at the end of the full list
        count = Signal(range(BEST + 1))
        place = Signal(range(BEST), reset_less=True)  # entry that is being written
        before = Signal(item, reset_less=True)  # entry that was read two cycles before
        beats = Signal()
        m.d.sync += before.eq(walk.data)

        m.d.comb += self.busy.eq(queue.level.any())
        with m.FSM() as fsm:
            with m.State("Take"):
                m.d.comb += queue.r_en.eq(1)
                m.d.sync += [
                    new.key.eq(key),
                    new.id.eq(head.id),
                    # +0 shall not beat -0, whose key is next to its own.
                    bound.eq(Mux(key == 0, -1, key)),
                ]
                with m.If(queue.r_rdy):
                    m.next = "Test"

            with m.State("Test"):
                full = count == BEST
                m.d.comb += walk.addr.eq(Mux(full, BEST - 2, count - 1))
                m.d.sync += place.eq(Mux(full, BEST - 1, count))
                with m.If(full & ~(worst < bound)):
                    m.next = "Take"
                with m.Else():
                    m.next = "Begin"
                    with m.If(~full):
                        m.d.sync += count.eq(count + 1)

            with m.State("Begin"):
                m.d.comb += walk.addr.eq(place - 2)
                m.next = "Walk"

            with m.State("Walk"):
                # Three entries in flight: `before` is the one ahead of `place`, the memory outputs
                # the one ahead of that, and the next is being read.
                m.d.comb += [
                    beats.eq((place != 0) & (before.key < bound)),
                    walk.addr.eq(place - 3),
                    write.en.eq(1),
                    write.addr.eq(place),
                    write.data.eq(Mux(beats, before, new)),
                ]
                m.d.sync += place.eq(place - 1)
                with m.If(place == BEST - 1):
                    m.d.sync += worst.eq(write.data.key)
                with m.If(~beats):
                    m.next = "Take"

        with m.If(~fsm.ongoing("Take")):
            m.d.comb += self.busy.eq(1)
        with m.If(self.clear):
            m.d.sync += count.eq(0)
        self.answer(m, list_, count)

        return m

    def answer(self, m, list_, count):
        """Read the list."""
        look = list_.read_port()
        present = Signal()
        m.d.sync += present.eq(self.index < count)
        m.d.comb += [
            look.addr.eq(self.index),
            self.entry.id.eq(Mux(present, look.data.id, 0)),
            self.entry.value.eq(
                Mux(present, look.data.key ^ Mux(look.data.key[31], 0x7FFFFFFF, 0), LEAST)
            ),
        ]
