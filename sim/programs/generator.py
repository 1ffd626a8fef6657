"""Makes random legal programs: whatever the rules allow, in any order."""

from collections import deque
from dataclasses import dataclass, replace
from itertools import islice

from rtl.spec.config import GROUP
from rtl.spec.isa import (
    REGISTERS,
    Attend,
    Embed,
    Func,
    Halt,
    Load,
    MatMul,
    Scalar,
    Source,
    Sync,
    Unit,
    Vector,
)
from rtl.spec.limits import POSITIONS, ROWS, TOKEN_COUNTERS
from sw_ref.accesses import unit_of
from sw_ref.checks import Bounds, check
from sw_ref.legal import Broken, IllegalProgram, need
from sw_ref.order import Order
from sw_ref.sequencer import Sequencer

from . import caches, control, crowds, pieces


__all__ = ["Program", "Growing", "generate"]


UNITS = [Unit.LOAD, Unit.LINEAR, Unit.ATTENTION, Unit.VECTOR]  # that tokens may order
PAIRS = [(giver, taker) for giver in UNITS for taker in UNITS if giver != taker]
ROOM = 200  # instructions that a piece may take, with all the tokens that it needs
PIECES = {
    pieces.vector: 12,
    pieces.load: 2,
    pieces.product: 4,
    pieces.embed: 1,
    caches.append: 2,
    caches.attend: 2,
    pieces.token: 2,
}  # and how often each
LONGEST = 2000  # instructions of units that a piece may execute


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


class Growing:
    """Grows a program by pieces that keep it legal; what breaks a rule is mended with a token, or
    dropped.

    Attributes
    ----------
    registers : list of :class:`int`
        What the registers hold at the end of `insns`.
    depth : :class:`int`
        Loops around what is added next.
    """

    def __init__(self, world, random):
        self.world, self.random, self.config = world, random, world.config
        columns = random.randint(1, self.config.columns)
        self.tokens = [random.choice([0, 1, ROWS, random.randint(0, ROWS)]) for _ in range(columns)]
        self.position = random.choice([0, 1, 31, 32, POSITIONS - 1, random.randrange(POSITIONS)])
        self.head = random.random() < 0.5
        self.bounds = Bounds(self.config, world.end, *world.cache)
        self.order = Order(self.config, world.memory)
        self.registers, self.depth = [0] * REGISTERS, 0
        self.insns = []  # as they are encoded
        self.recent = deque(maxlen=4)  # the last words that units wrote, of the vector memory
        self.counters = dict(zip(PAIRS, random.sample(range(1, TOKEN_COUNTERS), len(PAIRS))))

    @property
    def sources(self):
        """Values of all sources of control instructions, by number."""
        values = {
            Source.POSITION: self.position,
            Source.COLUMNS: len(self.tokens),
            Source.HEAD: int(self.head),
        }
        return [*self.registers, *(values[source] for source in Source)]

    @property
    def full(self):
        """Whether the program memory may have no room for another piece."""
        return len(self.insns) + ROOM > self.config.program_words

    # Growing

    def follow(self, insns):
        """Follow instructions, registers added. Raises :exc:`Broken`, and has followed none
        then.
        """
        order = self.order.copy()
        for insn in insns:
            self.failing = insn
            if unit_of(insn):
                check(insn, self.bounds, len(self.tokens))
                order.weights.follow(insn)
                order.follow(insn)
        # Elsewhere than where it was packed, a sparse matrix may be another, which takes less.
        need(not order.weights.waiting, "stream", "all weights taken", order.weights.waiting)
        self.order = order

    def sync(self, giver, taker):
        """A token from one unit to another."""
        counter = self.counters[giver, taker]
        return [Sync(unit=giver, give=counter), Sync(unit=taker, take=counter)]

    def barrier(self):
        """Tokens by which all of the units wait for each other: what one did before is done
        after.
        """
        vector, others = UNITS[-1], UNITS[:-1]
        return [
            insn
            for pair in [*((unit, vector) for unit in others), *((vector, unit) for unit in others)]
            for insn in self.sync(*pair)
        ]

    def add(self, insns):
        """Add instructions, with tokens before them that they need. Returns whether that is
        legal.
        """
        before, left = [], [*self.random.sample(PAIRS, len(PAIRS))]
        while True:
            try:
                self.follow([*before, *insns])
            except Broken as broken:
                if broken.args[0] != "race":
                    return False
                # What a race is with stands in what is said of it: hardly a token more than it
                # needs.
                unit, said = Unit(unit_of(self.failing)), " ".join(map(str, broken.args))
                wanted = [pair for pair in left if pair[1] == unit and pair[0].name in said]
                wanted = wanted or [pair for pair in left if pair[1] == unit]
                if not wanted:
                    return False
                left.remove(wanted[0])
                before += self.sync(*wanted[0])
            else:
                self.insns += [*before, *(self.relative(insn) for insn in insns)]
                self.recent += [last for insn in insns for last in self.last_written(insn)]
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

    def resolved(self, insns):
        """Instructions of units that others execute, registers added.

        Raises :exc:`IllegalProgram`, or :exc:`Broken` where they are too many to wait for.
        """
        registers = [Scalar(rd=n, offset=value) for n, value in enumerate(self.registers)]
        sequencer = Sequencer((*registers, *insns, Halt()), self.bounds, len(self.tokens))
        run = sequencer.run(self.tokens, self.position, self.head)
        executed = [insn for _, insn in islice(run, LONGEST)]
        need(next(run, None) is None, "limit", f"at most {LONGEST} instructions", "more")
        return executed

    def attempt(self, start, insns, before):
        """Put control instructions, with what they execute, in place of all from `start` on, which
        `before` is the order before. Returns whether that is legal; if not, all from `start` on is
        gone."""
        del self.insns[start:]
        self.order = before
        try:
            self.follow(self.resolved(insns))
        except (Broken, IllegalProgram):
            return False
        self.insns += insns
        return True

    # Choices

    def edge(self, least, most, step=1):
        """A multiple of `step`: often the least or the most that there is, if that is not
        forbidden.
        """
        low, high = -(-least // step), most // step
        return step * self.random.choice(
            [low, high, self.random.randint(low, high), self.random.randint(low, high)]
        )

    def rarely(self, odds=30):
        """Whether to make something that takes long."""
        return self.random.randrange(odds) == 0

    def place(self, words, multiple):
        """Start of an area in the vector memory: any, at its ends, or where something was written
        last.

        What reads that soon after finds it only if who wrote it was really done.
        """
        most = (self.config.vector_words - words) // multiple * multiple
        if self.recent and self.random.random() < 0.4:
            last = self.random.choice(self.recent) // multiple
            ahead = self.random.choice([0, self.random.randint(0, (words - 1) // multiple)])
            return min(max(0, last - ahead) * multiple, most)
        return self.edge(0, most, multiple)

    def last_written(self, insn):
        """Words of the vector memory that an instruction writes last."""
        match insn:
            case Load():
                return [insn.dst + 16 * insn.size - 1]
            case MatMul() if not insn.best:
                return [insn.dst + insn.column * insn.stride + insn.rows - 1]
            case Embed():
                return [insn.dst + GROUP * insn.groups - 1]
            case Attend():
                count = insn.heads * insn.queries
                return [
                    insn.dst + count * self.config.head_dim - 1,
                    insn.sums + count * self.config.lanes - 1,
                ]
            case Vector():
                return [
                    insn.d
                    + (insn.outer - 1) * insn.d_stride
                    + (1 if insn.func == Func.DOT else insn.inner)
                    - 1
                ]
        return []

    # Pieces

    def piece(self):
        """Add a random piece, if it is legal."""
        (make,) = self.random.choices(list(PIECES), PIECES.values())
        made = make(self)
        return made is not None and self.add(made)


def generate(world, random, length=24):
    """A legal :class:`Program` of up to `length` pieces for a :class:`~.world.World`.

    First it fills the vector memory, since nothing may be read that was not written. A few programs
    are as short as can be, or as long.
    """
    made, kind = Growing(world, random), random.random()
    if kind < 0.01:
        return Program((Halt(),), made.tokens, made.position, made.head)
    longest = kind > 0.99
    made.depth = int(longest)
    made.add([Load(addr=0, size=world.numbers)])
    for taker in UNITS[1:]:
        made.add(made.sync(Unit.LOAD, taker))
    for _ in range(random.randint(1, length)):
        if made.full:
            break
        random.choices(
            [Growing.piece, *control.CONTROL, *crowds.CROWDS],
            [60, *control.CONTROL.values(), *crowds.CROWDS.values()],
        )[0](made)
    if longest:
        control.lengthen(made)
    return Program((*made.insns, Halt()), made.tokens, made.position, made.head)
