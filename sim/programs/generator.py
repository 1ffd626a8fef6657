"""Makes random legal programs: whatever the rules allow, in any order."""

import copy
from dataclasses import dataclass, replace

from rtl.config import GROUP
from rtl.isa import (REGISTERS, Append, Attend, Dest, Embed, Func, Halt, Load, Loop, MatMul, Quant, Scalar, Source,
                     Stream, Sync, Token, Unit, Vector)
from sw_ref.checks import Bounds, check
from sw_ref.legal import Broken
from sw_ref.order import Order, unit_of
from sw_ref.sequencer import Sequencer

from ..patterns import EDGES, pattern
from .observe import dump


__all__ = ["Program", "generate"]


UNITS = [Unit.LOAD, Unit.LINEAR, Unit.ATTENTION, Unit.VECTOR]   # that tokens may order
# All of these wait for each other: what one of them did is done when the next of any begins.
BARRIER = [*((unit, Unit.VECTOR) for unit in UNITS[:3]), *((Unit.VECTOR, unit) for unit in UNITS[:3])]
PAIRS = [(giver, taker) for giver in UNITS for taker in UNITS if giver != taker]
MASK = 0xffffffff


@dataclass(frozen=True)
class Program:
    """A program, and the step that it is for."""
    insns: tuple
    tokens: list
    position: int
    head: bool

    @property
    def words(self):
        return [insn.encode() for insn in self.insns]


class _Generator:
    """Grows a program by pieces that keep it legal; what breaks a rule is mended with a token, or dropped."""
    def __init__(self, world, random):
        self.world, self.random, config = world, random, world.config
        self.config = config
        columns = random.randint(1, config.columns)
        self.tokens = [random.randrange(world.table.rows) for _ in range(columns)]
        self.position = random.choice([0, 1, 31, 32, random.randrange(1 << 16)])
        self.head = random.random() < 0.5
        self.bounds = Bounds(config, world.end, *world.cache)
        self.order = Order(config, world.memory)
        self.registers = [0] * REGISTERS
        self.insns = []         # as they are encoded
        self.vectors = {}       # column: groups of the last QUANT to ACT

    # Growing

    def follow(self, pieces):
        """Follow instructions, registers added. Raises :exc:`Broken`, and has followed none then."""
        order = copy.deepcopy(self.order, {id(self.config): self.config, id(self.order.memory): self.order.memory,
                                           id(self.order.touched): {}})
        for insn in pieces:
            self.failing = insn
            if unit_of(insn):
                check(insn, self.bounds, len(self.tokens))
                order.account(insn)
                order.follow(insn)
        self.order = order

    def sync(self, giver, taker):
        """A token from one unit to another."""
        counter = 1 + PAIRS.index((giver, taker))
        return [Sync(unit=giver, give=counter), Sync(unit=taker, take=counter)]

    def add(self, pieces):
        """Add instructions, with tokens before them that they need. Returns whether that is legal."""
        before, left = [], [*self.random.sample(PAIRS, len(PAIRS))]
        while True:
            try:
                self.follow([*before, *pieces])
            except Broken as broken:
                if broken.args[0] != "race":
                    return False
                # What a race is with stands in what is said of it: hardly a token more than it needs.
                unit, said = Unit(unit_of(self.failing)), " ".join(map(str, broken.args))
                wanted = [pair for pair in left if pair[1] == unit and pair[0].name in said]
                wanted = wanted or [pair for pair in left if pair[1] == unit]
                if not wanted:
                    return False
                pair = wanted[0]
                left.remove(pair)
                before += self.sync(*pair)
            else:
                self.insns += [*before, *(self.relative(insn) for insn in pieces)]
                return True

    def relative(self, insn):
        """The same instruction, some of whose fields get a register's value added."""
        changes = {}
        for field, register in insn.relative.items():
            if self.random.random() < 0.3:
                number, width = self.random.randrange(REGISTERS), insn.layout[field].width
                changes[register] = number
                changes[field] = getattr(insn, field) - self.registers[number] & (1 << width) - 1
        return replace(insn, **changes)

    # Choices

    def place(self, words, multiple):
        """Start of an area in the vector memory: any, or at its end."""
        most = (self.config.vector_words - words) // multiple
        return multiple * self.random.choice([0, most, self.random.randint(0, most), self.random.randint(0, most)])

    def number(self):
        """Bits of a constant."""
        return self.random.choice([self.random.choice(EDGES), pattern(self.random, range(120, 135)),
                                   0x4b400000 + self.random.randint(-140, 140)])

    # Pieces

    def load(self):
        size = self.random.randint(1, 6)
        return [Load(addr=self.random.randint(0, self.world.numbers - size), size=size, dst=self.place(16 * size, 16))]

    def vector(self):
        random, lanes = self.random, self.config.lanes
        outer, inner = random.choice([1, 1, 2, 3, 5]), lanes * random.choice([1, 2, 3, 8, 16])
        fields = {"func": random.choice(list(Func)), "outer": outer, "inner": inner}
        strides = [0, inner, inner + lanes, 2 * inner]
        for x in "abcd":
            stride = random.choice([s for s in strides if s < 1 << 11])
            fields[f"{x}_stride"] = stride
            fields[x] = self.place((outer - 1) * stride + inner, lanes)
        for x in "abc":
            kind = random.random()
            if kind < 0.15:
                fields[f"{x}_fill"] = 1
            elif kind < 0.4:   # in place
                fields[x] = fields["d"]
                fields[f"{x}_stride"] = fields["d_stride"]
        for x in "bc":
            if random.random() < 0.3:
                fields |= {f"{x}_const": 1, f"{x}_value": self.number()}
        return [Vector(**fields)]

    def quantized(self, column, groups):
        """QUANT of activations of a column."""
        outer = self.random.choice([n for n in (1, 2, 3, groups) if groups % n == 0])
        inner = groups // outer * GROUP
        stride = inner + self.config.lanes * self.random.randint(0, 4)
        return Quant(dest=Dest.ACT, outer=outer, inner=inner, stride=stride, column=column,
                     a=self.place((outer - 1) * stride + inner, self.config.lanes), act=self.act)

    def product(self):
        """One or more matrices of one stream, and the activations that they need."""
        random, matrices = self.random, self.world.matrices
        first = random.randrange(len(matrices))
        count = random.choice([1, 1, 1, 2, 3])
        # A vector of activations is for matrices of as many groups.
        chosen = [m for m in matrices[first:first + count]]
        chosen = chosen[:next((n for n, m in enumerate(chosen) if m.groups != chosen[0].groups), len(chosen))]
        groups = chosen[0].groups
        last = random.randrange(len(self.tokens))
        self.act = random.randint(0, self.config.act_groups - groups)
        pieces = [self.quantized(column, groups) for column in range(last + 1)]
        pieces += self.sync(Unit.VECTOR, Unit.LINEAR)
        pieces.append(Stream(addr=chosen[0].addr, size=sum(m.units for m in chosen)))
        for m in chosen:
            best = random.random() < 0.3
            stride = random.choice([m.rows, m.rows + random.randint(0, 40), 256])
            words = last * stride + m.rows
            pieces.append(MatMul(
                format=m.format, rows=m.rows, groups=groups, centre=random.randrange(8), act=self.act, best=best,
                column=random.randint(0, last) if best else last, stride=stride, dst=self.place(words, 1)))
        return pieces

    def embed(self):
        table, block = self.world.table, self.config.block_rows
        row = self.random.randrange(table.rows)
        units = table.units // (table.rows // block)
        return [Stream(addr=table.addr + row // block * units, size=units),
                Embed(row=row, groups=table.groups, dst=self.place(GROUP * table.groups, 1))]

    def append(self):
        random, config = self.random, self.config
        heads, (first, end) = random.randint(1, 3), self.world.cache
        block = config.kv_block_units
        stride = random.choice([0, 1, block, block + 1])
        addr = random.randint(first, end - (heads - 1) * stride - block)
        outer, inner = random.choice([(1, heads), (heads, 1)])
        return [Quant(dest=Dest.KV, outer=outer, inner=inner * config.head_dim, stride=config.head_dim,
                      a=self.place(heads * config.head_dim, config.lanes)),
                Append(value=random.getrandbits(1), heads=heads, addr=addr, stride=stride,
                       position=random.choice([0, 31, random.randrange(1 << 20)]))]

    def attend(self):
        random, config = self.random, self.config
        heads, queries = random.randint(1, 3), random.randint(1, min(config.queries, 15))
        length, (first, end) = random.choice([1, 2, 31, 32, 33, 64, 65, random.randint(1, 96)]), self.world.cache
        block, dim, count = config.kv_block_units, config.head_dim, heads * queries
        stride = random.choice([0, 1, block])
        reach = -(-length // 32) * block + (heads - 1) * stride
        if first + reach > end:
            return None
        return [Quant(dest=Dest.QUERY, outer=1, inner=count * dim, a=self.place(count * dim, config.lanes)),
                Attend(heads=heads, queries=queries, length=length, stride=stride,
                       addr=random.randint(first, end - reach), dst=self.place(count * dim, config.lanes),
                       sums=self.place(count * config.lanes, config.lanes))]

    def token(self):
        return self.sync(*self.random.choice(PAIRS))

    PIECES = {"vector": 12, "load": 2, "product": 4, "embed": 1, "append": 2, "attend": 2, "token": 2}

    def piece(self):
        """Add a random piece, if it is legal."""
        name, = self.random.choices(list(self.PIECES), self.PIECES.values())
        pieces = getattr(self, name)()
        return pieces is not None and self.add(pieces)

    # Control

    def scalar(self):
        """Change a register, or write what no later instruction needs to know."""
        random = self.random
        rd = random.randrange(REGISTERS)
        values = [*self.registers, self.position, len(self.tokens), int(self.head)]
        if random.random() < 0.2:
            column = random.randrange(len(self.tokens))
            self.insns += [Scalar(rd=7, offset=column), Token(rd=rd, source=7)]
            self.registers[7] = column
            value = self.tokens[column]
        else:
            insn = Scalar(rd=rd, source=random.randrange(8 + len(Source)), shift=random.randrange(32),
                          plus=random.randrange(8 + len(Source)), factor=random.getrandbits(random.choice([1, 8, 32])),
                          offset=random.getrandbits(random.choice([1, 8, 32])))
            self.insns.append(insn)
            value = (values[insn.source] >> insn.shift) * insn.factor + insn.offset + values[insn.plus] & MASK
        if rd:
            self.registers[rd] = value

    def loop(self, pieces, depth=1):
        """Add a loop around some pieces: what it repeats must be legal again."""
        random, start, order = self.random, len(self.insns), self.order
        self.insns.append(None)
        for _ in range(pieces):
            if depth < 4 and random.random() < 0.15:
                self.loop(random.randint(1, 2), depth + 1)
            self.piece()
        # Or a round would race with the one before.
        for pair in BARRIER:
            self.insns += self.sync(*pair)
            self.follow(self.sync(*pair))
        if depth == 1:
            self.insns[start] = Loop(length=len(self.insns) - start - 1, count=1)
            rounds = random.choice([1, 2, 3])
            self.order = order
            body = self.executed(self.insns[start + 1:])
            try:
                for _ in range(rounds):
                    self.follow(body)
            except Broken:
                del self.insns[start:]
                self.order = order
                return
            self.insns[start] = Loop(length=len(self.insns) - start - 1, count=rounds)
        else:
            self.insns.append(Scalar())   # bodies may not end together
            self.insns[start] = Loop(length=len(self.insns) - start - 2, count=random.choice([1, 2]))

    def executed(self, body):
        """Instructions of units that a body executes, registers added."""
        registers = [Scalar(rd=n, offset=value) for n, value in enumerate(self.registers)]
        sequencer = Sequencer((*registers, *body, Halt()), self.bounds, len(self.tokens))
        return [insn for _, insn in sequencer.run(self.tokens, self.position, self.head)]

    def skipped(self):
        """A loop of no rounds: its body need only be instructions."""
        body = [Vector(d=1, a=3), Load(size=0), MatMul(), Attend(), Append(heads=255)]
        self.insns += [Loop(length=len(body), count=0), *body]


def generate(world, random, length=24):
    """A legal :class:`Program` of up to `length` pieces for a :class:`~.world.World`.

    First it fills the vector memory, since nothing may be read that was not written. At the end it
    writes all of it to DRAM, to be compared.
    """
    made = _Generator(world, random)
    made.add([Load(addr=0, size=world.numbers)])
    for taker in UNITS[1:]:
        made.add(made.sync(Unit.LOAD, taker))
    for _ in range(random.randint(1, length)):
        kind = random.random()
        if kind < 0.15:
            made.scalar()
        elif kind < 0.25:
            made.loop(random.randint(1, 4))
        elif kind < 0.28:
            made.skipped()
        else:
            made.piece()
    return Program((*made.insns, *dump(world.config, made.insns, world.cache[1]), Halt()), made.tokens, made.position, made.head)
