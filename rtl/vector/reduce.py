"""Partial sums of a dot product."""

from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from ..fp.add import FpAdd


__all__ = ["PARTIAL_SUMS", "Reduce"]


PARTIAL_SUMS = 64


class Reduce(wiring.Component):
    """Order the additions of a dot product as :func:`sw_ref.numerics.dot` does.

    The partial sums lie in S = 64 / lanes slots of one line. Line n of the products is added to
    slot n mod S, one line per cycle; after the last one, the upper half of the slots is added to
    the lower, until one is left, whose lanes then exchange sums with their partners at half the
    lanes, a quarter, … Both partners add the same two numbers, so every lane ends up with the total.

    The additions are done by the lanes' adders. Every step of the folding waits for the one before:
    `done` comes (log2(64) + 1) * L + S + log2(lanes) - 1 cycles after the last line, with L the
    latency of the adder: 45 cycles for 4 lanes, 38 for 8, 35 for 16.

    Parameters
    ----------
    lanes : :class:`int`
        Power of two from 2 to 64 / `FpAdd.LATENCY`: a slot must not come round before its sum.

    Members
    -------
    i : :py:`In(stream.Signature(data.StructLayout({"last": 1}), always_ready=True))`
        A line of products is in the adders: offer their partial sums in `x` in the same cycle.
        After `last`, nothing may come until `done`.
    x : :py:`Out(data.ArrayLayout(32, lanes))`
        First operands of the adders.
    y : :py:`Out(data.ArrayLayout(32, lanes))`
        Second operands of the adders, with `fold`.
    fold : :py:`Out(1)`
        Add `y` rather than the products.
    sum : :py:`In(data.ArrayLayout(32, lanes))`
        Output of the adders.
    busy : :py:`Out(1)`
        The last line has come, and `done` not yet.
    done : :py:`Out(1)`
        Each lane of `sum` is the dot product, in this cycle.
    """
    def __init__(self, lanes):
        if lanes not in (2, 4, 8, 16, 32) or lanes * FpAdd.LATENCY > PARTIAL_SUMS:
            raise ValueError(f"Lane count must be a power of two from 2 to "
                             f"{PARTIAL_SUMS // FpAdd.LATENCY}, not {lanes!r}")
        self.lanes = lanes
        self.slots = PARTIAL_SUMS // lanes
        line = data.ArrayLayout(32, lanes)
        super().__init__({
            "i":    In(stream.Signature(data.StructLayout({"last": 1}), always_ready=True)),
            "x":    Out(line),
            "y":    Out(line),
            "fold": Out(1),
            "sum":  In(line),
            "busy": Out(1),
            "done": Out(1),
        })

    def elaborate(self, platform):
        m = Module()

        slot = Signal(range(self.slots))
        half = Signal(self.slots.bit_length() - 1, init=self.slots // 2)       # one-hot, then zero
        across = Signal(self.lanes.bit_length() - 1, init=self.lanes // 2)     # one-hot, then zero
        wait = Signal(range(FpAdd.LATENCY + 1))
        last = Signal()
        add = Signal()

        # What the adders hold: the slot that each sum goes to.
        tag = data.StructLayout({"valid": 1, "slot": slot.shape(), "done": 1})
        tags = [Signal(tag, name=f"tag{n}") for n in range(FpAdd.LATENCY + 1)]
        m.d.comb += [tags[0].valid.eq(add), tags[0].slot.eq(slot), tags[0].done.eq(last)]
        for before, after in zip(tags, tags[1:]):
            m.d.sync += after.eq(before)
        m.d.comb += self.done.eq(tags[-1].done)

        m.submodules.partial = partial = Memory(shape=self.sum.shape(), depth=self.slots, init=[])
        write = partial.write_port()
        lower = partial.read_port(domain="comb")
        upper = partial.read_port(domain="comb")
        m.d.comb += [
            write.addr.eq(tags[-1].slot),
            write.data.eq(self.sum),
            write.en.eq(tags[-1].valid),
            lower.addr.eq(slot),
            upper.addr.eq(slot | half),
        ]

        # A slot that has not been added to yet is zero, whatever the memory holds.
        begun = Signal(self.slots)
        with m.If(add):
            m.d.sync += begun.bit_select(slot, 1).eq(1)
        with m.If(self.done):
            m.d.sync += begun.eq(0)
        kept = Signal(self.sum.shape())
        m.d.comb += kept.eq(lower.data)
        if self.slots == FpAdd.LATENCY:
            # The sum is needed in the cycle in which it is written.
            with m.If(tags[-1].valid & (tags[-1].slot == slot)):
                m.d.comb += kept.eq(self.sum)
        with m.If(begun.bit_select(slot, 1)):
            m.d.comb += self.x.eq(kept)

        with m.If(half.any()):
            with m.If(begun.bit_select(slot | half, 1)):
                m.d.comb += self.y.eq(upper.data)
        with m.Else():
            with m.Switch(across):
                for distance in (1 << n for n in range(len(across))):
                    with m.Case(distance):
                        for n in range(self.lanes):
                            m.d.comb += self.y[n].eq(lower.data[n ^ distance])

        with m.FSM():
            with m.State("ACCUMULATE"):
                m.d.comb += add.eq(self.i.valid)
                with m.If(self.i.valid):
                    m.d.sync += slot.eq(slot + 1)
                    with m.If(self.i.p.last):
                        m.d.sync += [slot.eq(0), wait.eq(FpAdd.LATENCY)]
                        m.next = "WAIT"

            with m.State("WAIT"):
                m.d.comb += self.busy.eq(1)
                m.d.sync += wait.eq(wait - 1)
                with m.If(wait == 1):
                    m.next = "FOLD"

            with m.State("FOLD"):
                m.d.comb += [self.busy.eq(1), self.fold.eq(1), add.eq(1)]
                m.d.sync += wait.eq(FpAdd.LATENCY)
                with m.If(half.any()):
                    m.d.sync += slot.eq(slot + 1)
                    with m.If(slot == (half - 1)[:len(half)]):
                        m.d.sync += [slot.eq(0), half.eq(half >> 1)]
                        m.next = "WAIT"
                with m.Else():
                    m.d.sync += across.eq(across >> 1)
                    m.d.comb += last.eq(across[0])
                    m.next = "WAIT"
                    with m.If(across[0]):
                        m.next = "LAST"

            with m.State("LAST"):
                m.d.comb += self.busy.eq(1)
                with m.If(self.done):
                    m.d.sync += [half.eq(half.init), across.eq(across.init)]
                    m.next = "ACCUMULATE"

        return m
