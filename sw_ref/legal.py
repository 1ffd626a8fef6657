"""Static rules of legal programs: those of :mod:`rtl.spec.rules` that a program's text shows."""

from functools import lru_cache

from rtl.spec.isa import Halt, Insn, Loop, Op, Scalar, Source, Sync, Token, Unit, decode
from rtl.spec.limits import LOOP_DEPTH, TOKEN_COUNTERS
from rtl.spec.rules import RULES


__all__ = ["MachineError", "IllegalProgram", "Broken", "illegal", "need", "decoded"]


class MachineError(Exception):
    """The program did what no correct program does; the message names the instruction."""


class IllegalProgram(MachineError):
    """A program breaks a rule.

    Attributes
    ----------
    rule : :class:`str`
        Name of the rule, of :data:`rtl.spec.rules.RULES`.
    where : :class:`str`
        The instruction, or the program.
    expected, found : :class:`str`
        What the rule asks for, and what the program has.
    """

    def __init__(self, rule, where, expected, found):
        assert rule in RULES
        self.rule, self.where, self.expected, self.found = rule, where, expected, found
        super().__init__(f"{where} breaks the rule `{rule}`: expected {expected}, found {found}")


class Broken(Exception):
    """The same before the instruction's place is known: (rule, expected, found)."""


def illegal(broken, pc, insn):
    """The :exc:`IllegalProgram` of a :exc:`Broken`, at an instruction."""
    rule, expected, found = broken.args
    return IllegalProgram(rule, f"Instruction {pc} ({insn})", str(expected), str(found))


def need(ok, rule, expected, found):
    if not ok:
        raise Broken(rule, expected, found)


def _enumerated(cls, word):
    """Decode a word, or say which of its fields has no such value."""
    try:
        return decode(word)
    except ValueError as error:
        raise Broken("opcode", "an instruction that exists", str(error)) from None


def _word(word):
    opcodes = {op.value for op in Op}
    need(word & 0xFF in opcodes, "opcode", "an opcode that exists", f"{word & 0xFF:#04x}")
    cls = Insn.by_op[Op(word & 0xFF)]
    need(
        not word >> cls.layout.size,
        "reserved",
        f"zeros from bit {cls.layout.size} on",
        f"{word >> cls.layout.size:#x}",
    )
    insn = _enumerated(cls, word)
    if isinstance(insn, (Loop, Scalar, Token)):
        for name in ("source", "plus"):
            value = getattr(insn, name, 0)
            need(
                value <= max(s.value for s in Source),
                "source",
                f"a register or a Source in `{name}`",
                value,
            )
    return insn


def _loops(insns):
    """Check that loops nest; `insns` is the program without its HALT."""
    ends = [len(insns)]
    for pc, insn in enumerate(insns):
        while len(ends) > 1 and pc > ends[-1]:
            ends.pop()
        if isinstance(insn, Loop):
            at = f"Instruction {pc} ({insn})"
            if not insn.length:
                raise IllegalProgram("loop", at, "a body of at least one instruction", "none")
            # Strictly: a body must not end where the one around it does.
            last, around = pc + insn.length, ends[-1]
            if last >= around:
                raise IllegalProgram(
                    "loop",
                    at,
                    f"a body that ends before instruction {around}",
                    f"one that ends at {last}",
                )
            if len(ends) > LOOP_DEPTH:
                raise IllegalProgram(
                    "loop", at, f"at most {LOOP_DEPTH} loops in each other", f"{len(ends)}"
                )
            ends.append(last)


def _counters(insns):
    """Check that each token counter has one giver and one taker, and that neither is STREAM."""
    users = [{} for _ in range(2)]
    for pc, insn in enumerate(insns):
        if not isinstance(insn, Sync):
            continue
        if insn.unit == Unit.STREAM:
            raise IllegalProgram(
                "tokens",
                f"Instruction {pc} ({insn})",
                "a SYNC of another unit than STREAM",
                insn.unit.name,
            )
        for user, what, counter in zip(users, ("gives to", "takes from"), (insn.give, insn.take)):
            unit = user.setdefault(counter, insn.unit)
            if counter and unit != insn.unit:
                raise IllegalProgram(
                    "tokens",
                    f"Instruction {pc} ({insn})",
                    f"one unit that {what} counter {counter}",
                    f"{unit.name} and {insn.unit.name}",
                )
    for counter in range(1, TOKEN_COUNTERS):
        giver, taker = (user.get(counter) for user in users)
        if giver is not None and giver == taker:
            raise IllegalProgram(
                "tokens",
                "Program",
                f"different units at counter {counter}",
                f"{giver.name} as giver and taker",
            )


@lru_cache(maxsize=8)
def decoded(words, program_words):
    """Instructions of a program, a tuple of words; raises :exc:`IllegalProgram`.

    Checks the rules that the text alone shows.
    """
    if not 1 <= len(words) <= program_words:
        raise IllegalProgram(
            "length", "Program", f"from 1 to {program_words} instructions", f"{len(words)}"
        )
    insns = []
    for pc, word in enumerate(words):
        try:
            insns.append(_word(word))
        except Broken as broken:
            raise IllegalProgram(
                broken.args[0], f"Instruction {pc}", *map(str, broken.args[1:])
            ) from None
    for pc, insn in enumerate(insns):
        last = pc == len(insns) - 1
        if isinstance(insn, Halt) != last:
            raise IllegalProgram(
                "halt",
                f"Instruction {pc} ({insn})",
                "HALT at the program's end, and only there",
                "another instruction" if last else "HALT",
            )
    _loops(insns[:-1])
    _counters(insns)
    return tuple(insns)
