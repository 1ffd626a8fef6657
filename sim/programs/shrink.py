"""Shrink a failing program to the shortest on which both machines still differ."""

from dataclasses import replace

from rtl.spec.isa import Load, Loop

from .compare import Difference, Refused


__all__ = ["shrink"]


def _without(insns, start, count):
    """A program without some instructions, and with loops as much shorter; None if a loop has
    nothing left.
    """
    out = []
    for n, insn in enumerate(insns):
        if start <= n < start + count:
            continue
        if isinstance(insn, Loop):
            body = range(n + 1, n + 1 + insn.length)
            length = insn.length - len(set(body) & set(range(start, start + count)))
            if length < 1:
                return None
            insn = replace(insn, length=length)
        out.append(insn)
    return tuple(out)


def shrink(pair, world, program):
    """Leave out instructions as long as the program stays legal and the difference stays.

    Runs of instructions first, then fewer of them (delta debugging: Zeller and Hildebrandt, 2002),
    until none can go. Then LOADs load less, as long as the same holds.
    """

    def differs(insns):
        try:
            pair.compare(world, replace(program, insns=insns))
        except Refused:
            return False
        except Difference:
            return True
        return False

    insns = program.insns
    while True:
        fewer = _fewer(insns, differs)
        if len(fewer) == len(insns):
            break
        insns = fewer
    return replace(program, insns=_narrower(insns, differs))


def _fewer(insns, differs):
    count = len(insns) // 2
    while count:
        start = 0
        while start < len(insns) - 1:
            fewer = _without(insns, start, count)
            if fewer and differs(fewer):
                insns = fewer
            else:
                start += max(
                    1, count // 2
                )  # a token's giver and taker go together, wherever they are
        count //= 2
    return insns


def _narrower(insns, differs):
    """Let each LOAD load as little as it can: parts of it go, from its end or its start."""
    for n in range(len(insns)):
        part = insns[n].size // 2 if isinstance(insns[n], Load) else 0
        while part:
            load = insns[n]
            ends = [replace(load, size=load.size - part)]
            if load.addr + part < 1 << 32 and load.dst + 16 * part < 1 << 18:
                ends.append(replace(ends[0], addr=load.addr + part, dst=load.dst + 16 * part))
            for end in ends if part < load.size else ():
                shorter = (*insns[:n], end, *insns[n + 1 :])
                if differs(shorter):
                    insns = shorter
                    break
            else:
                part //= 2
    return insns
