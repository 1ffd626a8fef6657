"""Sequencer: executes the control instructions, and dispatches the others to their units."""

from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.memory import Memory
from amaranth.lib.wiring import In, Out

from ..spec.csr import TOKENS, FaultCode
from ..spec.isa import REGISTERS, WORD_BITS, Loop, Op, Scalar, Source, Sync, Token, Unit
from ..spec.limits import LOOP_DEPTH, PC_BITS
from ..spec.payloads import Dispatched
from .dispatcher import Dispatcher


__all__ = ["Sequencer"]


HALF = 16  # bits of a factor, see Sequencer.multiply


class Sequencer(wiring.Component):
    """Execute a program up to its :class:`~rtl.spec.isa.Halt`.

    Loop, Scalar and Token are executed here. Whatever a unit executes gets register values added
    to its `relative` fields, and goes to the unit's queue. When that is full, the sequencer waits.

    One dispatch takes four cycles and one for each register that is added, Loop seven, Token six,
    Scalar eleven.

    Parameters
    ----------
    config : :class:`~rtl.spec.config.Config`
        Configuration.

    Members
    -------
    start : :py:`In(1)`
        Execute from instruction 0, with no loop. The registers are cleared by reset alone.
    stop : :py:`In(1)`
        Execute nothing more.
    length : :py:`In(PC_BITS + 1)`
        Instructions in the program.
    sources : :py:`In(32).array(len(Source))`
        Values of each :class:`~rtl.spec.isa.Source`, in its order.
    token_index : :py:`Out(range(TOKENS))`
        Column whose token is wanted.
    token : :py:`In(32)`
        Token of the `token_index` of the cycle before.
    index : :py:`Out(range(config.program_words))`
        Instruction to read.
    word : :py:`In(WORD_BITS)`
        Instruction at the `index` of the cycle before.
    queues : :py:`Out(stream.Signature(Dispatched)).array(len(Unit))`
        Instructions for the queue of each :class:`~rtl.spec.isa.Unit`, in its order.
    idle : :py:`In(1)`
        Every queue is empty and every unit idle.
    busy : :py:`Out(1)`
        High from the cycle after the start until all units are idle after Halt.
    pc : :py:`Out(PC_BITS)`
        Index in the program of the instruction dispatched last.
    fault : :py:`Out(1)`
        The program does what it must not, and was stopped. Held until reset, with those below.
    fault_code : :py:`Out(FaultCode)`
        OPCODE, PROGRAM or LOOP.
    fault_pc : :py:`Out(PC_BITS)`
        Index of the instruction.
    fault_info : :py:`Out(32)`
        See the code.
    """

    def __init__(self, config):
        self.config = config
        super().__init__(
            {
                "start": In(1),
                "stop": In(1),
                "length": In(PC_BITS + 1),
                "sources": In(32).array(len(Source)),
                "token_index": Out(range(TOKENS)),
                "token": In(32),
                "index": Out(range(config.program_words)),
                "word": In(WORD_BITS),
                "queues": Out(stream.Signature(Dispatched)).array(len(Unit)),
                "idle": In(1),
                "busy": Out(1),
                "pc": Out(PC_BITS),
                "fault": Out(1),
                "fault_code": Out(8),
                "fault_pc": Out(PC_BITS),
                "fault_info": Out(32),
            }
        )

    def elaborate(self, platform):
        m = Module()

        pc = Signal(PC_BITS + 1)
        insn = Signal(WORD_BITS, reset_less=True)
        opcode = insn[:8]
        loop, scalar, token = (
            data.View(cls.layout, insn[: cls.layout.size]) for cls in (Loop, Scalar, Token)
        )
        # Decode takes its own cycle, because the program memory's output arrives late.
        for_unit = Signal(reset_less=True)
        number, register, write = self.registers(m)
        m.submodules.dispatcher = dispatcher = Dispatcher()
        m.d.comb += [
            dispatcher.insn.eq(insn),
            dispatcher.pc.eq(pc),
            dispatcher.register.eq(register),
            self.pc.eq(dispatcher.issued),
        ]
        for ours, its in zip(self.queues, dispatcher.queues):
            wiring.connect(m, its, wiring.flipped(ours))

        # One multiplexer serves both operands of Scalar, one after the other.
        select = Signal(4, reset_less=True)
        operand = Signal(32, reset_less=True)
        sources = Array([*self.sources] + [C(0, 32)] * (16 - REGISTERS - len(Source)))
        m.d.sync += operand.eq(Mux(select[3], sources[select[:3]], register))
        m.d.comb += [
            self.index.eq(pc),
            self.token_index.eq(operand),
        ]
        m.d.comb += number.eq(Mux(dispatcher.reads, dispatcher.number, select[:3]))

        stack, depth, at_end, again, advance = self.loops(m, pc)
        step = Signal(range(7))
        result = self.multiply(m, step, scalar, operand)

        with m.FSM() as fsm:
            m.d.comb += self.busy.eq(~fsm.ongoing("IDLE"))
            with m.State("IDLE"):
                m.d.sync += [pc.eq(0), depth.eq(0)]
                with m.If(self.start):
                    m.next = "READ"
            with m.State("READ"):
                m.d.sync += step.eq(0)
                with m.If(pc >= self.length):
                    self.stop_at(m, pc, FaultCode.PROGRAM, self.length)
                with m.Elif(~self.stop):
                    m.next = "FETCH"
            with m.State("FETCH"):
                m.d.sync += insn.eq(self.word)
                m.next = "SELECT"
            with m.State("SELECT"):
                m.d.comb += dispatcher.begin.eq(1)
                m.d.sync += [
                    for_unit.eq(is_for_unit(insn)),
                    select.eq(first_source(insn)),
                    at_end.eq((depth != 0) & (pc == stack[0].end)),
                    again.eq(stack[0].left != 1),
                ]
                m.next = "DECODE"
            with m.State("DECODE"):
                m.d.sync += select.eq(scalar.plus)
                self.decode(m, pc, opcode, for_unit, dispatcher.drained)
                m.d.comb += dispatcher.accept.eq(for_unit)
                with m.If(dispatcher.accepted):
                    m.d.comb += advance.eq(1)
                    m.next = "READ"
            self.enter_loop(m, pc, loop, operand, stack, depth)
            self.write_register(m, step, token, scalar, result, write, advance)
            with m.State("FAULT"):
                pass

        return m

    def registers(self, m):
        """Keep the registers, in LUTs' memory, which no reset clears: until it is written, and that
        is never for register 0, a register is 0.

        Returns the number of the register that is read, its value, and the port that writes.
        """
        m.submodules.registers = memory = Memory(shape=32, depth=REGISTERS, init=[])
        write, read = memory.write_port(), memory.read_port(domain="comb")
        written = Signal(REGISTERS)
        number, value = Signal(range(REGISTERS)), Signal(32)
        m.d.comb += [
            read.addr.eq(number),
            value.eq(Mux(written.bit_select(number, 1), read.data, 0)),
        ]
        with m.If(write.en):
            m.d.sync += written.bit_select(write.addr, 1).eq(1)
        return number, value, write

    def stop_at(self, m, pc, code, info):
        """Stop the program with a fault."""
        m.d.sync += [
            self.fault.eq(1),
            self.fault_code.eq(code),
            self.fault_pc.eq(pc),
            self.fault_info.eq(info),
        ]
        m.next = "FAULT"

    def decode(self, m, pc, opcode, for_unit, drained):
        """Choose the state that executes a control instruction."""
        with m.Switch(opcode):
            with m.Case(Op.HALT):
                with m.If(drained & self.idle):
                    m.next = "IDLE"
            with m.Case(Op.LOOP):
                m.next = "COUNT"
            with m.Case(Op.SCALAR):
                m.next = "SCALAR"
            with m.Case(Op.TOKEN):
                m.next = "TOKEN"
            with m.Default():
                with m.If(~for_unit):
                    self.stop_at(m, pc, FaultCode.OPCODE, opcode)

    def loops(self, m, pc):
        """Move `pc` on, to the start of the innermost loop where it ends.

        Returns the stack of loops, its depth, whether `pc` is at the end of the innermost one,
        whether that is to be executed again, and the request to move on.
        """
        # The innermost loop is at the top of a stack that shifts.
        frame = data.StructLayout({"start": PC_BITS, "end": PC_BITS + 1, "left": 32})
        stack = [Signal(frame, name=f"loop{n}", reset_less=True) for n in range(LOOP_DEPTH)]
        depth = Signal(range(LOOP_DEPTH + 1))
        at_end = Signal()
        again = Signal()
        advance = Signal()
        with m.If(advance):
            m.d.sync += pc.eq(pc + 1)
            with m.If(at_end):
                m.d.sync += stack[0].left.eq(stack[0].left - 1)
                with m.If(again):
                    m.d.sync += pc.eq(stack[0].start)
                with m.Else():
                    m.d.sync += depth.eq(depth - 1)
                    m.d.sync += [stack[n].eq(stack[n + 1]) for n in range(LOOP_DEPTH - 1)]
        return stack, depth, at_end, again, advance

    def enter_loop(self, m, pc, loop, operand, stack, depth):
        """States of Loop: push it, or skip a body that is executed no time."""
        times = Signal(32, reset_less=True)
        nothing, too_deep = Signal(reset_less=True), Signal(reset_less=True)
        with m.State("COUNT"):
            m.d.sync += times.eq(loop.count + operand)
            m.next = "WEIGH"
        with m.State("WEIGH"):
            m.d.sync += [
                nothing.eq((times == 0) | (loop.length == 0)),
                too_deep.eq(depth == LOOP_DEPTH),
            ]
            m.next = "LOOP"
        with m.State("LOOP"):
            with m.If(nothing):
                m.d.sync += pc.eq(pc + loop.length + 1)
                m.next = "READ"
            with m.Elif(too_deep):
                self.stop_at(m, pc, FaultCode.LOOP, depth)
            with m.Else():
                m.d.sync += [
                    pc.eq(pc + 1),
                    depth.eq(depth + 1),
                    stack[0].start.eq(pc + 1),
                    stack[0].end.eq(pc + loop.length),
                    stack[0].left.eq(times),
                ]
                m.d.sync += [stack[n + 1].eq(stack[n]) for n in range(LOOP_DEPTH - 1)]
                m.next = "READ"

    def write_register(self, m, step, token, scalar, result, write, advance):
        """States of Token and Scalar. Register 0 stays 0."""
        m.d.comb += [write.addr.eq(scalar.rd), write.data.eq(result)]
        with m.State("TOKEN"):
            m.d.sync += step.eq(1)
            with m.If(step == 1):
                m.d.comb += [write.addr.eq(token.rd), write.data.eq(self.token)]
                m.d.comb += [write.en.eq(token.rd != 0), advance.eq(1)]
                m.next = "READ"
        with m.State("SCALAR"):
            m.d.sync += step.eq(step + 1)
            with m.If(step == 6):
                m.d.comb += [write.en.eq(scalar.rd != 0), advance.eq(1)]
                m.next = "READ"

    def multiply(self, m, step, scalar, operand):
        """Compute Scalar's result by step 6, on one 16-bit multiplier.

        `operand` is the source in step 0, and what is to be added in step 1.
        """
        x, total = Signal(32, reset_less=True), Signal(32, reset_less=True)
        a, b = Signal(HALF, reset_less=True), Signal(HALF, reset_less=True)
        product = Signal(2 * HALF, reset_less=True)
        low, high = slice(None, HALF), slice(HALF, None)
        m.d.sync += product.eq(a * b)
        with m.Switch(step):
            with m.Case(0):
                m.d.sync += x.eq(operand >> scalar.shift)
            with m.Case(1):
                m.d.sync += [
                    total.eq(scalar.offset + operand),
                    a.eq(x[low]),
                    b.eq(scalar.factor[low]),
                ]
            with m.Case(2):
                m.d.sync += [a.eq(x[low]), b.eq(scalar.factor[high])]
            with m.Case(3):
                m.d.sync += [total.eq(total + product), a.eq(x[high]), b.eq(scalar.factor[low])]
            with m.Case(4, 5):
                m.d.sync += total.eq(total + (product << HALF))
        return total


def is_for_unit(word):
    """Whether an instruction goes to a unit's queue."""
    sync = data.View(Sync.layout, word[: Sync.layout.size])
    known = Cat(sync.unit == u for u in Unit).any()
    return Cat(word[:8] == op for op in Op if op.value >> 4).any() | (word[:8] == Op.SYNC) & known


def first_source(word):
    """First operand of an instruction that the sequencer executes."""
    loop, scalar, token = (
        data.View(cls.layout, word[: cls.layout.size]) for cls in (Loop, Scalar, Token)
    )
    return Mux(
        word[:8] == Op.LOOP, loop.source, Mux(word[:8] == Op.TOKEN, token.source, scalar.source)
    )
