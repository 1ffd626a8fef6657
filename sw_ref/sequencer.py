"""The sequencer: control instructions, and what the others become once registers are added."""

from operator import itemgetter

from rtl.spec.isa import REGISTERS, Halt, Loop, Scalar, Source, Token
from rtl.spec.rules import ALONE, LIMIT

from .checks import check
from .legal import Broken, IllegalProgram, illegal


__all__ = ["Sequencer"]


KNOWN = 64  # Results of adding registers that are kept per instruction: as many as it has columns.
POLL = 1024  # Instructions between looks at whether somebody wants to interrupt.
MASK = 0xFFFFFFFF


class _Decoded:
    """An instruction of the program, and what it becomes once registers are added to its fields."""

    def __init__(self, pc, insn):
        self.pc, self.insn, self.known = pc, insn, {}
        self.relative = [
            (name, getattr(insn, register), insn.layout[name].width)
            for name, register in insn.relative.items()
            if getattr(insn, register)
        ]
        self.fixed = (
            None  # the instruction itself, once it is known to be legal, if nothing is added
        )
        numbers = sorted({register for _, register, _ in self.relative})
        self.key = itemgetter(*numbers) if numbers else lambda registers: None

    def resolved(self, registers, bounds, columns):
        """The instruction with its registers added, once it is known to be legal."""
        key = self.key(registers)
        insn = self.known.get(key)
        if insn is None:
            if len(self.known) >= KNOWN:
                self.known.clear()
            insn = object.__new__(type(self.insn))
            # The instruction is frozen, and its fields need no second check of their widths.
            fields = insn.__dict__
            fields.update(vars(self.insn))
            for name, register, width in self.relative:
                fields[name] = fields[name] + registers[register] & (1 << width) - 1
            try:
                check(insn, bounds, columns)
            except Broken as broken:
                raise illegal(broken, self.pc, insn) from None
            self.known[key] = insn
            if not self.relative:
                self.fixed = insn
        return insn


class Sequencer:
    """Executes the control instructions of a program, and resolves the others.

    Parameters
    ----------
    insns : tuple of :class:`~rtl.spec.isa.Insn`
        A program of :func:`sw_ref.legal.decoded`.
    bounds : :class:`~sw_ref.checks.Bounds`
    columns : :class:`int`
        Columns in use.

    Attributes
    ----------
    rounds : :class:`int`
        Rounds that outermost loops have ended, so far in the run.
    """

    def __init__(self, insns, bounds, columns):
        self.program = [_Decoded(pc, insn) for pc, insn in enumerate(insns)]
        self.bounds, self.columns, self.rounds = bounds, columns, 0

    def run(self, tokens, position, head, poll=None, passed=None):
        """Yield (pc, instruction) of all that goes to units, in order of dispatch.

        `poll` is called now and then, also while nothing is dispatched, and `passed` with each
        instruction that the sequencer executes itself, before it does. Raises
        :exc:`IllegalProgram`.
        """
        program, bounds, columns = self.program, self.bounds, self.columns
        sources = {
            Source.POSITION.value: position,
            Source.COLUMNS.value: columns,
            Source.HEAD.value: int(head),
        }
        values = [0] * REGISTERS + [sources[n] for n in sorted(sources)]
        self.rounds = 0
        pc, loops, left, alone = 0, [], LIMIT, 0
        while True:
            insn = program[pc].insn
            kind = type(insn)
            left -= 1
            if left < 0:
                raise IllegalProgram(
                    "limit",
                    f"Instruction {pc} ({insn})",
                    f"at most {LIMIT} instructions in a run",
                    "more",
                )
            alone += 1
            if alone > ALONE + 1:
                raise IllegalProgram(
                    "limit",
                    f"Instruction {pc} ({insn})",
                    f"at most {ALONE} instructions of the sequencer between others",
                    "more",
                )
            if poll is not None and not left % POLL:
                poll()
            if passed is not None and kind in (Scalar, Loop, Token):
                passed(insn)
            if kind is Scalar:
                if insn.rd:
                    values[insn.rd] = (
                        (values[insn.source] >> insn.shift) * insn.factor
                        + insn.offset
                        + values[insn.plus]
                    ) & MASK
            elif kind is Loop:
                count = insn.count + values[insn.source] & MASK
                if count:
                    loops.append([pc + 1, pc + insn.length, count])
                else:
                    pc += insn.length
            elif kind is Token:
                column = values[insn.source]
                if column >= columns:
                    raise IllegalProgram(
                        "column",
                        f"Instruction {pc} ({insn})",
                        f"a column below the {columns} in use",
                        str(column),
                    )
                if insn.rd:
                    values[insn.rd] = tokens[column]
            elif kind is Halt:
                return
            else:
                alone = 0
                decoded = program[pc]
                yield pc, decoded.fixed or decoded.resolved(values, bounds, columns)
            # Bodies end apart from each other, so at most one ends here.
            if loops and pc == loops[-1][1]:
                self.rounds += len(loops) == 1
                loops[-1][2] -= 1
                if loops[-1][2]:
                    pc = loops[-1][0]
                    continue
                loops.pop()
            pc += 1
