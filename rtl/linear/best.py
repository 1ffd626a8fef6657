"""Search for the best logits."""

from amaranth import *
from amaranth.lib import data, fifo, memory, stream, wiring
from amaranth.lib.wiring import In, Out

from ..fp.format import MAX
from ..spec.csr import BEST
from ..spec.payloads import Logit


__all__ = ["BestLogits"]


LEAST = 1 << 31 | MAX  # of places that are left over
BLOCK = 8  # entries of a block
BLOCKS = BEST // BLOCK
LAST = BLOCK - 1  # place in a block
PLACE = data.StructLayout({"place": range(BLOCK), "block": range(BLOCKS + 1)})

ENTRY = data.StructLayout({"key": signed(32), "id": 20})
NO_KEY = -(1 << 31)  # below those of all logits


class BestLogits(wiring.Component):
    """Keep the best of a stream of logits, best first.

    The order is :func:`sw_ref.best.best`'s: of equal logits (-0 equals +0), the first one is ahead.
    Values keep their bits.

    An insertion sort in a memory. The list is cut into blocks of 8 entries, and each block is a
    ring: to move down by one place, it takes the last entry of the block ahead as its first, in
    place of its own last, which has moved to the block behind. So an insertion walks over whole
    blocks first, and then over the entries of one block.

    A logit that is not among the best, as nearly all are, takes one cycle. One that is takes 7, and
    one for each block and for each entry of its own block that move down. Of n logits in random
    order, about BEST * (1 + ln(n / BEST)) are. A FIFO of `DEPTH` logits absorbs them. A systolic
    list would take a logit every cycle, but needs 64 comparators and 3,328 flip-flops.

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

        m.submodules.list = list_ = memory.Memory(shape=ENTRY, depth=BEST, init=[])
        read, write = list_.read_port(), list_.write_port()
        leaves = Signal()
        waiting, valid, new, bound = self.candidate(m, leaves)

        before = Signal(ENTRY, reset_less=True)  # entry that was read two cycles before
        ahead = Signal()  # the new logit goes ahead of it
        count = Signal(range(BEST + 1))
        worst = Signal(signed(32), init=NO_KEY)  # key at the end of the full list, or one below
        look = Signal(PLACE)  # is read
        hole = Signal(PLACE, reset_less=True)  # is free, for the new logit or for one ahead of it
        pushed = Signal()  # `before` becomes the first of the hole's block
        m.d.sync += before.eq(read.data)
        m.d.comb += ahead.eq(before.key < bound)

        with m.FSM() as fsm:
            with m.State("Take"):
                m.d.comb += leaves.eq(~(worst < bound))
                m.d.comb += [look.block.eq(data.View(PLACE, count).block - 1), look.place.eq(LAST)]
                m.d.sync += hole.as_value().eq(count)
                with m.If(~valid):
                    m.d.comb += look.as_value().eq(self.index)
                with m.Elif(~leaves):
                    m.d.sync += count.eq(Mux(count == BEST, BEST, count + 1))
                    m.next = "Begin"
            self.walk_blocks(m, hole, look, ahead, pushed, leaves)
            self.walk_entries(m, hole, look, ahead, leaves)

        with m.If(fsm.ongoing("Blocks") & (hole.block == BLOCKS)):
            m.d.sync += worst.eq(before.key)
        with m.If(self.clear):
            m.d.sync += [count.eq(0), worst.eq(NO_KEY)]
        # Where in its ring a block begins: wherever a list left it is as good for the next.
        firsts = Array(Signal(range(BLOCK), name=f"first_{n}") for n in range(BLOCKS))
        with m.If(pushed):
            m.d.sync += firsts[hole.block].eq(firsts[hole.block] - 1)
        in_ring = Mux(pushed, LAST, hole.place)
        m.d.comb += [
            self.busy.eq(waiting | ~fsm.ongoing("Take")),
            read.addr.eq(Cat((firsts[look.block] + look.place)[: len(look.place)], look.block)),
            write.addr.eq(Cat((firsts[hole.block] + in_ring)[: len(hole.place)], hole.block)),
            write.en.eq(pushed | fsm.ongoing("Entries")),
            write.data.eq(Mux(fsm.ongoing("Entries") & leaves, new, before)),
        ]
        self.answer(m, read, count)

        return m

    def walk_blocks(self, m, hole, look, ahead, pushed, leaves):
        """States that move the hole over whole blocks.

        Three entries are in flight: `before` is the last of the block ahead of the hole's, the
        memory outputs that of the block ahead of it, and the next is being read.
        """
        with m.State("Begin"):
            m.d.comb += [look.block.eq(hole.block - 2), look.place.eq(LAST)]
            m.next = "Blocks"
        with m.State("Blocks"):
            m.d.comb += [look.block.eq(hole.block - 3), look.place.eq(LAST)]
            with m.If(ahead & (hole.block != 0)):
                # From behind the list, where nothing is kept, the hole comes to its last entry.
                m.d.comb += pushed.eq(hole.block != BLOCKS)
                m.d.sync += [hole.block.eq(hole.block - 1), hole.place.eq(LAST)]
            with m.Elif(hole.block == BLOCKS):
                m.d.comb += leaves.eq(1)
                m.next = "Take"
            with m.Else():
                m.next = "Turn"

    def walk_entries(self, m, hole, look, ahead, leaves):
        """States that move the hole over the entries of its block, and put the new logit there."""
        with m.State("Turn"):
            m.d.comb += [look.block.eq(hole.block), look.place.eq(hole.place - 1)]
            m.next = "Fill"
        with m.State("Fill"):
            m.d.comb += [look.block.eq(hole.block), look.place.eq(hole.place - 2)]
            m.next = "Entries"
        with m.State("Entries"):
            m.d.comb += [look.block.eq(hole.block), look.place.eq(hole.place - 3)]
            m.d.comb += leaves.eq(~ahead | (hole.place == 0))
            m.d.sync += hole.place.eq(hole.place - 1)
            with m.If(leaves):
                m.next = "Take"

    def candidate(self, m, leaves):
        """Add the FIFO, and a register for the logit that may be inserted, until it `leaves`.

        Returns whether there are logits, whether it is there, its entry, and the key below which
        it goes ahead of others.
        """
        m.submodules.queue = queue = fifo.SyncFIFOBuffered(width=Logit.size, depth=self.DEPTH)
        wiring.connect(m, wiring.flipped(self.i), queue.w_stream)
        valid, new = Signal(), Signal(ENTRY, reset_less=True)
        bound = Signal(signed(32), reset_less=True)
        head = data.View(Logit, queue.r_data)
        m.d.comb += queue.r_en.eq(~valid | leaves)
        with m.If(queue.r_en):
            m.d.sync += [
                valid.eq(queue.r_rdy),
                new.key.eq(ordered(head.value)),
                new.id.eq(head.id),
                # +0 shall not beat -0, whose key is next to its own.
                bound.eq(Mux(head.value[:31].any(), ordered(head.value), -1)),
            ]
        return valid | queue.level.any(), valid, new, bound

    def answer(self, m, read, count):
        """Show the entry at `index`."""
        present = Signal()
        m.d.sync += present.eq(self.index < count)
        m.d.comb += [
            self.entry.id.eq(Mux(present, read.data.id, 0)),
            self.entry.value.eq(Mux(present, ordered(read.data.key), LEAST)),
        ]


def ordered(bits):
    """An fp32's bits as a signed integer in the same order; and an integer's as those of its fp32.

    Those of -0 are next to those of +0.
    """
    return (bits ^ Mux(bits[31], 0x7FFFFFFF, 0))[:32].as_signed()
