"""Dispatcher: adds registers to an instruction's fields, and issues it to its unit's queue."""

from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from ..spec.isa import REGISTERS, WORD_BITS, Insn, Op, Unit
from ..spec.limits import PC_BITS
from ..spec.payloads import Dispatched


__all__ = ["Dispatcher"]


FOR_UNITS = [cls for op, cls in Insn.by_op.items() if op.value >> 4]
# The n-th of an instruction's relative fields is added to in the n-th slot.
SLOT_BITS = [
    max(cls.layout[list(cls.relative)[n]].width for cls in FOR_UNITS if len(cls.relative) > n)
    for n in range(max(len(cls.relative) for cls in FOR_UNITS))
]


class Dispatcher(wiring.Component):
    """Add registers to the relative fields of an instruction, and offer it to its unit's queue.

    Registers other than number 0 are read one a cycle, before the instruction is taken. Then the
    next one may come. Latency is two cycles from there to the queue.

    Members
    -------
    insn, pc : :py:`In(WORD_BITS)`, :py:`In(PC_BITS)`
        Instruction, and its index in the program. Stay until it is accepted.
    begin : :py:`In(1)`
        It is another one than in the cycle before. In the next cycle it may be accepted.
    accept, accepted : :py:`In(1)`, :py:`Out(1)`
        It is to be issued; it was taken.
    reads, number, register : :py:`Out(1)`, :py:`Out(range(REGISTERS))`, :py:`In(32)`
        A register is read, and its value.
    queues : :py:`Out(stream.Signature(Dispatched)).array(len(Unit))`
        Instructions for the queue of each :class:`~rtl.spec.isa.Unit`, in its order. One is valid
        at most, and the payloads of all are the same.
    drained : :py:`Out(1)`
        All that was accepted is in the queues.
    issued : :py:`Out(PC_BITS)`
        Index of the instruction that a queue took last.
    """

    def __init__(self):
        super().__init__(
            {
                "insn": In(WORD_BITS),
                "pc": In(PC_BITS),
                "begin": In(1),
                "accept": In(1),
                "accepted": Out(1),
                "reads": Out(1),
                "number": Out(range(REGISTERS)),
                "register": In(32),
                "queues": Out(stream.Signature(Dispatched)).array(len(Unit)),
                "drained": Out(1, init=1),
                "issued": Out(PC_BITS),
            }
        )

    def elaborate(self, platform):
        m = Module()

        read = self.read_registers(m)
        fields, addends = slots("field"), slots("addend")
        word = Signal(WORD_BITS, reset_less=True)
        word_pc = Signal(PC_BITS, reset_less=True)
        word_valid = Signal()
        out = Signal(Dispatched, reset_less=True)
        unit = Signal(4, reset_less=True)
        out_valid, out_ready = Signal(), Signal()
        m.d.comb += [
            # Not while the last one moves on: its queue's `ready` arrives late.
            self.accepted.eq(self.accept & ~self.reads & ~word_valid),
            self.drained.eq(~word_valid & ~out_valid),
        ]

        with m.If(self.accepted):
            m.d.sync += [word_valid.eq(1), word.eq(self.insn), word_pc.eq(self.pc)]
            m.d.sync += [addend.eq(value) for addend, value in zip(addends, read)]
            with m.Switch(self.insn[:8]):
                for cls, view in self.views():
                    with m.Case(cls.op):
                        m.d.sync += [
                            field.eq(view[name]) for field, name in zip(fields, cls.relative)
                        ]

        with m.If(~out_valid | out_ready):
            m.d.sync += [out_valid.eq(word_valid), out.word.eq(word), out.pc.eq(word_pc)]
            m.d.sync += unit.eq(Mux(word[:8] == Op.SYNC, word[8:12], word[4:8]))
            m.d.sync += word_valid.eq(self.accepted)
            with m.Switch(word[:8]):
                for cls in FOR_UNITS:
                    patched = data.View(cls.layout, out.word[: cls.layout.size])
                    with m.Case(cls.op):
                        for name, field, addend in zip(cls.relative, fields, addends):
                            m.d.sync += patched[name].eq(field + addend)

        for u, queue in zip(Unit, self.queues):
            chosen = unit == u.value
            m.d.comb += [queue.payload.eq(out), queue.valid.eq(out_valid & chosen)]
            with m.If(chosen):
                m.d.comb += out_ready.eq(queue.ready)
        with m.If(out_valid & out_ready):
            m.d.sync += self.issued.eq(out.pc)

        return m

    def views(self):
        """Yield the classes of instructions that go to units, and `insn` as one of each."""
        for cls in FOR_UNITS:
            yield cls, data.View(cls.layout, self.insn[: cls.layout.size])

    def read_registers(self, m):
        """Read the registers that the instruction names, one a cycle.

        Returns their values, by slot.
        """
        values = slots("value")
        pending = Signal(len(values))
        slot = range(len(values))
        numbers = [Signal(range(REGISTERS), name=f"number{n}", reset_less=True) for n in slot]
        wanted = [Signal(range(REGISTERS), name=f"wanted{n}") for n in slot]
        with m.Switch(self.insn[:8]):
            for cls, view in self.views():
                with m.Case(cls.op):
                    m.d.comb += [
                        number.eq(view[name]) for number, name in zip(wanted, cls.relative.values())
                    ]
        m.d.comb += self.reads.eq(pending.any())
        for n in reversed(slot):
            with m.If(pending[n]):
                m.d.comb += self.number.eq(numbers[n])
        with m.If(self.begin):
            m.d.sync += [
                *(number.eq(its) for number, its in zip(numbers, wanted)),
                *(value.eq(0) for value in values),
                pending.eq(Cat(number != 0 for number in wanted)),
            ]
        for n, value in enumerate(values):
            with m.If(pending[n] & ~pending[:n].any()):
                m.d.sync += [value.eq(self.register), pending[n].eq(0)]
        return values


def slots(name):
    """A signal for each slot."""
    return [Signal(bits, name=f"{name}{n}", reset_less=True) for n, bits in enumerate(SLOT_BITS)]
