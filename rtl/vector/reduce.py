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
    lanes, a quarter, … Both partners add the same two numbers, so every lane ends up with the
    total.

    The additions are done by the lanes' adders, whose operands are registers here. The slots have
    one read port, so an addition of two of them takes two cycles; and sums reach their partners
    lane by lane. Every step of the folding waits for the one before: `done` comes
    :attr:`latency` cycles after the last line, and S - n more after only n < S lines: 70 cycles
    for 4 lanes, 59 for 8, 60 for 16.

    Parameters
    ----------
    lanes : :class:`int`
        Power of two from 2 to 64 / `FpAdd.LATENCY`: a slot must not come round before its sum.

    Attributes
    ----------
    latency : :class:`int`
        Cycles from the last line to `done`.

    Members
    -------
    i : :py:`In(stream.Signature(data.StructLayout({"last": 1}), always_ready=True))`
        A line of products will be in the adders in the next cycle: `x` has their partial sums then.
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
            raise ValueError(
                f"Lane count must be a power of two from 2 to "
                f"{PARTIAL_SUMS // FpAdd.LATENCY}, not {lanes!r}"
            )
        self.lanes = lanes
        self.slots = PARTIAL_SUMS // lanes
        # A step begins once the sums of the one before are in their slots.
        written = FpAdd.LATENCY + 2
        slot_steps, lane_steps = self.slots.bit_length() - 1, lanes.bit_length() - 1
        between_slots = 2 * (self.slots - 1) + slot_steps * (written - 1)
        between_lanes = lanes - 1 + lane_steps * written
        self.latency = written + between_slots + between_lanes - 1
        line = data.ArrayLayout(32, lanes)
        super().__init__(
            {
                "i": In(stream.Signature(data.StructLayout({"last": 1}), always_ready=True)),
                "x": Out(line),
                "y": Out(line),
                "fold": Out(1),
                "sum": In(line),
                "busy": Out(1),
                "done": Out(1),
            }
        )

    def elaborate(self, platform):
        m = Module()

        slot = Signal(range(self.slots))
        again = Signal()  # every slot has been added to
        half = Signal(self.slots.bit_length() - 1, init=self.slots // 2)  # one-hot, then zero
        across = Signal(self.lanes.bit_length() - 1, init=self.lanes // 2)  # one-hot
        moves = Signal.like(across)  # of `y` from lane to lane, yet to be made
        add, fold, last = Signal(), Signal(), Signal()
        upper, move = Signal(), Signal()  # `y` takes a slot of the upper half; a neighbour's

        # What is read, and then what the adders hold: the slot that each sum goes to.
        tag = data.StructLayout({"valid": 1, "slot": slot.shape(), "done": 1})
        tags = [Signal(tag, name=f"tag{n}") for n in range(FpAdd.LATENCY + 2)]
        m.d.comb += [tags[0].valid.eq(add), tags[0].slot.eq(slot), tags[0].done.eq(last)]
        for before, after in zip(tags, tags[1:]):
            m.d.sync += after.eq(before)
        pending = Cat(tag.valid for tag in tags[1:]).any()
        m.d.comb += self.done.eq(tags[-1].done)
        m.d.sync += self.fold.eq(fold)
        x, y = self.operands(m, tags, slot, Mux(upper, slot | half, slot), upper, move)

        with m.FSM():
            self.accumulate(m, slot, again, add, fold, x, y)

            with m.State("UPPER"):
                m.d.comb += [self.busy.eq(1), upper.eq(1)]
                m.d.sync += moves.eq(across)
                with m.If(slot.any() | ~pending):
                    m.next = "LOWER"
                    with m.If(~half.any()):
                        m.next = "ACROSS"

            with m.State("LOWER"):
                m.d.comb += [self.busy.eq(1), add.eq(1), fold.eq(1)]
                m.d.sync += slot.eq(slot + 1)
                with m.If(slot == (half - 1)[: len(half)]):
                    m.d.sync += [slot.eq(0), half.eq(half >> 1)]
                m.next = "UPPER"

            with m.State("ACROSS"):
                m.d.comb += [self.busy.eq(1), move.eq(1)]
                m.d.sync += moves.eq(moves - 1)
                with m.If(moves == 1):
                    m.d.comb += [add.eq(1), fold.eq(1), last.eq(across[0])]
                    m.d.sync += across.eq(across >> 1)
                    m.next = "UPPER"
                    with m.If(across[0]):
                        m.next = "LAST"

            with m.State("LAST"):
                m.d.comb += self.busy.eq(1)
                with m.If(self.done):
                    m.d.sync += [again.eq(0), half.eq(half.init), across.eq(across.init)]
                    m.next = "ACCUMULATE"

        return m

    def accumulate(self, m, slot, again, add, fold, x, y):
        """States until the last line has been added, and a zero to slots that no line was."""
        with m.State("ACCUMULATE"):
            m.d.comb += add.eq(self.i.valid)
            # The first sum of a slot is one with zero, whatever is in memory.
            m.d.sync += y.as_value().eq(0)
            with m.If(~again):
                m.d.sync += x.as_value().eq(0)
            with m.If(self.i.valid):
                m.d.sync += [slot.eq(slot + 1), again.eq(again | slot.all())]
                with m.If(self.i.p.last):
                    m.d.sync += slot.eq(Mux(again, 0, slot + 1))
                    m.next = "PAD"
                    with m.If(again | slot.all()):
                        m.next = "UPPER"

        with m.State("PAD"):
            m.d.comb += [self.busy.eq(1), add.eq(1), fold.eq(1)]
            m.d.sync += [slot.eq(slot + 1), x.as_value().eq(0)]
            with m.If(slot.all()):
                m.next = "UPPER"

    def operands(self, m, tags, slot, address, upper, move):
        """The adders' operands: `x` is read from the slots, and so is `y` with `upper`."""
        m.submodules.partial = partial = Memory(shape=self.sum.shape(), depth=self.slots, init=[])
        write, read = partial.write_port(), partial.read_port(domain="comb")
        written = tags[-1]
        m.d.comb += [
            write.addr.eq(written.slot),
            write.data.eq(self.sum),
            write.en.eq(written.valid),
            read.addr.eq(address),
        ]
        x, y = (Signal(self.sum.shape(), name=name, reset_less=True) for name in "xy")
        m.d.comb += [self.x.eq(x), self.y.eq(y)]
        m.d.sync += x.eq(read.data)
        with m.If(upper):
            m.d.sync += y.eq(read.data)
        with m.If(move):
            m.d.sync += [y[n].eq(y[(n + 1) % self.lanes]) for n in range(self.lanes)]
        if self.slots == FpAdd.LATENCY:
            # A slot may come round while its sum is on the way to memory.
            late = Signal()
            m.d.sync += late.eq(tags[-2].valid & (tags[-2].slot == slot))
            with m.If(late):
                m.d.comb += self.x.eq(self.sum)
            with m.If(written.valid & (written.slot == slot)):
                m.d.sync += x.eq(self.sum)
        return x, y
