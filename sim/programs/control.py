"""Control instructions of random programs: registers, loops, and bodies that are skipped.

Each function adds to a :class:`~.generator.Growing`.
"""

from itertools import takewhile

from rtl.spec.isa import (
    REGISTERS,
    Append,
    Attend,
    Load,
    Loop,
    MatMul,
    Scalar,
    Source,
    Token,
    Vector,
)
from rtl.spec.limits import LAYERS, LOOP_DEPTH
from sw_ref.legal import Broken

from . import pieces


__all__ = ["CONTROL", "counted", "lengthen"]


MASK = 0xFFFFFFFF


def constant(random):
    """A factor or an offset."""
    return random.choice(
        [random.getrandbits(1), random.getrandbits(8), random.getrandbits(32), 0, MASK]
    )


def scalar(made):
    """Change a register, or write what no later instruction needs to know."""
    random, sources = made.random, 8 + len(Source)
    insn = Scalar(
        rd=random.randrange(REGISTERS),
        source=random.randrange(sources),
        shift=made.edge(0, 31),
        plus=random.randrange(sources),
        factor=constant(random),
        offset=constant(random),
    )
    if random.random() < 0.3:  # a small value, that can be added to what is small itself
        insn = Scalar(rd=insn.rd, offset=16 * random.randrange(8))
    made.insns.append(insn)
    values = made.sources
    if insn.rd:
        made.registers[insn.rd] = (
            values[insn.source] >> insn.shift
        ) * insn.factor + insn.offset + values[insn.plus] & MASK


def token(made):
    """Read a token of the host's."""
    random = made.random
    able = [n for n, value in enumerate(made.sources) if value < len(made.tokens)]
    if random.random() < 0.5:
        number, column = random.randrange(1, REGISTERS), random.randrange(len(made.tokens))
        made.insns.append(Scalar(rd=number, offset=column))
        made.registers[number] = column
        able = [number]
    insn = Token(rd=random.randrange(REGISTERS), source=random.choice(able))
    made.insns.append(insn)
    if insn.rd:
        made.registers[insn.rd] = made.tokens[made.sources[insn.source]]


def counted(made, rounds):
    """`count` and `source` of a LOOP of so many rounds."""
    able = [n for n, value in enumerate(made.sources) if rounds - value & MASK <= LAYERS]
    source = made.random.choice(able)
    return {"count": rounds - made.sources[source] & MASK, "source": source}


def prepared(made, rounds):
    """Set a register so that the `count` of a LOOP of so many rounds is any."""
    number, count = made.random.randrange(1, REGISTERS), made.edge(0, LAYERS)
    made.registers[number] = rounds - count & MASK
    made.insns.append(Scalar(rd=number, offset=made.registers[number]))


def loop(made):
    """Add a loop around some pieces: what it repeats must be legal again, with registers that
    advance.
    """
    random, rounds = made.random, made.random.choice([1, 2, 3])
    if random.random() < 0.5:
        prepared(made, rounds)
    start, before = len(made.insns), made.order
    made.insns.append(None)
    depth = made.depth
    try:
        body(made, random.randint(1, 4))
    except Broken:  # a counter is full of tokens that nobody had to wait for
        del made.insns[start:]
        made.order, made.depth = before, depth
        return
    inner = made.insns[start + 1 :]
    number, step = random.randrange(1, REGISTERS), 16 * random.choice([1, 4, 64])
    advance = Scalar(rd=number, source=number, factor=1, offset=step)
    stay = Scalar(rd=number, source=number, factor=1)
    for times, last in ((rounds, advance), (rounds, stay), (1, stay)):
        insns = [*inner, last]
        if made.attempt(start, [Loop(length=len(insns), **counted(made, times)), *insns], before):
            if last is advance:
                made.registers[number] = made.registers[number] + times * step & MASK
            return


def body(made, count):
    """Add the body of a loop, with loops in it, and tokens at its end: no round races with the
    next.
    """
    random = made.random
    made.depth += 1
    for _ in range(count):
        if made.full:
            break
        if made.depth < LOOP_DEPTH and random.random() < 0.2:
            start = len(made.insns)
            made.insns.append(None)
            body(made, random.randint(1, 2))
            length = len(made.insns) - start - 1
            made.insns[start] = Loop(length=length, **counted(made, random.choice([1, 2])))
            made.insns.append(Scalar())  # bodies may not end together
        made.piece()
    made.depth -= 1
    tokens = made.barrier()
    made.insns += tokens
    made.follow(tokens)


def turns(made):
    """Add a loop around a MATMUL, which meets a matrix of another format in each round."""
    random, matrices = made.random, made.world.matrices
    first = random.randrange(len(matrices))
    shape = matrices[first].rows, matrices[first].groups
    behind = takewhile(lambda m: (m.rows, m.groups) == shape, matrices[first:])
    some = list(behind)[: random.randint(2, 5)]
    start, before, tokens = len(made.insns), made.order, made.barrier()
    last, act, insns = pieces.activated(made, shape[1])
    product = pieces.multiplied(made, some[0], act, last, random.choice([0, 0, 1]))
    round_ = [made.relative(product)]
    insns = [*tokens, *map(made.relative, (*insns, *pieces.streamed(some)))]
    made.attempt(start, [*insns, Loop(length=1, **counted(made, len(some))), *round_], before)


def skipped(made):
    """A loop of no rounds: its body need only be instructions."""
    insns = [Vector(d=1, a=3), Load(size=0), MatMul(), Attend(), Append(heads=255)]
    made.insns += [Loop(length=len(insns), **counted(made, 0)), *insns]


def lengthen(made):
    """Make of a program one that fills the program memory: the body of one loop, which was left
    room for.
    """
    length = made.config.program_words - 2
    made.insns += [Scalar(rd=0, offset=n) for n in range(length - len(made.insns))]
    made.insns.insert(0, Loop(length=length, count=1))


CONTROL = {scalar: 9, token: 3, loop: 10, turns: 6, skipped: 3}
