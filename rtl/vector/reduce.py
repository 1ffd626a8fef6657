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

    The additions are done by the lanes' adders, whose operands are registers here. Every step of
    the folding waits for the one before: `done` comes (log2(64) + 1) * L + S + log2(lanes) cycles
    after the last line, with L the latency of the adder: 46 cycles for 4 lanes, 39 for 8, 36 for
    16.

    Parameters
    ----------
    lanes : :class:`int`
        Power of two from 2 to 64 / `FpAdd.LATENCY`: a slot must not come round before its sum.

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
        half = Signal(self.slots.bit_length() - 1, init=self.slots // 2)  # one-hot, then zero
        across = Signal(self.lanes.bit_length() - 1, init=self.lanes // 2)  # one-hot, then zero
        wait = Signal(range(FpAdd.LATENCY + 1))
        last = Signal()
        add, fold = Signal(), Signal()

        # What is read, and then what the adders hold: the slot that each sum goes to.
        tag = data.StructLayout({"valid": 1, "slot": slot.shape(), "done": 1})
        tags = [Signal(tag, name=f"tag{n}") for n in range(FpAdd.LATENCY + 2)]
        m.d.comb += [tags[0].valid.eq(add), tags[0].slot.eq(slot), tags[0].done.eq(last)]
        for before, after in zip(tags, tags[1:]):
            m.d.sync += after.eq(before)
        m.d.comb += self.done.eq(tags[-1].done)

        m.submodules.partial = partial = Memory(shape=self.sum.shape(), depth=self.slots, init=[])
        write = partial.write_port()
        lower, upper = (self.read(m, partial, address, tags[-1]) for address in (slot, slot | half))
        m.d.comb += [
            write.addr.eq(tags[-1].slot),
            write.data.eq(self.sum),
            write.en.eq(tags[-1].valid),
        ]

        self.operands(m, slot, half, across, lower, upper, add, fold, tags)

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
                m.d.comb += [self.busy.eq(1), fold.eq(1), add.eq(1)]
                m.d.sync += wait.eq(FpAdd.LATENCY)
                with m.If(half.any()):
                    m.d.sync += slot.eq(slot + 1)
                    with m.If(slot == (half - 1)[: len(half)]):
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

    def operands(self, m, slot, half, across, lower, upper, add, fold, tags):
        """Operands of the adders. A slot that has not been added to is zero, whatever is in
        memory.
        """
        begun = Signal(self.slots)
        with m.If(add):
            m.d.sync += begun.bit_select(slot, 1).eq(1)
        with m.If(self.done):
            m.d.sync += begun.eq(0)
        x, y = (Signal(self.sum.shape(), name=name, reset_less=True) for name in "xy")
        m.d.sync += [
            self.fold.eq(fold),
            x.eq(Mux(begun.bit_select(slot, 1), lower, 0)),
            y.eq(Mux(begun.bit_select(slot | half, 1), upper, 0)),
        ]
        with m.If(~half.any()):
            with m.Switch(across):
                for distance in (1 << n for n in range(len(across))):
                    with m.Case(distance):
                        m.d.sync += [y[n].eq(lower[n ^ distance]) for n in range(self.lanes)]
        m.d.comb += [self.x.eq(x), self.y.eq(y)]
        if self.slots == FpAdd.LATENCY:
            # The sum is needed in the cycle in which it is there.
            late = Signal()
            m.d.sync += late.eq(tags[-2].valid & (tags[-2].slot == slot))
            with m.If(late):
                m.d.comb += self.x.eq(self.sum)

    def read(self, m, partial, address, written):
        """Sums of a slot, of which the last is written in this cycle at the latest."""
        port = partial.read_port(domain="comb")
        sums = Signal(self.sum.shape())
        m.d.comb += [port.addr.eq(address), sums.eq(port.data)]
        with m.If(written.valid & (written.slot == address)):
            m.d.comb += sums.eq(self.sum)
        return sums
