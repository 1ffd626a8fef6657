"""Verify a program against all rules at its corners, without computing a value.

Programs do not look at data, other than the tokens that the host writes. So where they go, and what
they touch, is known without a value: a run at each corner follows it.
"""

from dataclasses import fields
from functools import cache
from itertools import product

from rtl.spec.isa import Embed, MatMul, Stream

from .checks import Bounds
from .legal import Broken, decoded, illegal
from .order import Order
from .sequencer import Sequencer


__all__ = ["verify", "verify_image", "corners"]


OF_STREAM = {Stream, MatMul, Embed}  # what WeightStream looks at
DRAM_FIELDS = {"addr", "position", "length", "newest"}  # which no other unit's words depend on


@cache
def _compared(kind):
    return [f.name for f in fields(kind) if f.name not in DRAM_FIELDS]


def _alike(one, other):
    """Whether two instructions touch the same words of the memories that units share."""
    return (
        one is other
        or type(one) is type(other)
        and all(getattr(one, name) == getattr(other, name) for name in _compared(type(one)))
    )


class _Follower:
    """Leads :class:`Order` through a run, and past rounds of a loop that only repeat themselves."""

    def __init__(self, order):
        self.order = order
        self.round, self.before, self.state, self.repeats = [], [], None, False

    def take(self, pc, insn):
        if type(insn) in OF_STREAM:
            self.guard(self.order.weights.follow, pc, insn)
        self.round.append((pc, insn))
        n = len(self.round)
        if self.repeats and n <= len(self.before) and _alike(insn, self.before[n - 1][1]):
            return
        self.catch_up()

    def catch_up(self):
        """Follow what was passed over, or else the last instruction."""
        rest = self.round if self.repeats else self.round[-1:]
        self.repeats = False
        for pc, insn in rest:
            self.guard(self.order.follow, pc, insn)

    def end_round(self):
        """A round of an outermost loop ended."""
        if self.repeats and len(self.round) != len(self.before):
            self.catch_up()
        if not self.repeats:
            state = self.order.state()
            # The same again, from where the last round began, ends where it ended.
            self.repeats = state == self.state
            self.state, self.before = state, self.round
        self.round = []

    def guard(self, what, pc, insn):
        try:
            what(insn)
        except Broken as broken:
            raise illegal(broken, pc, insn) from None


def corners(config, context, vocab):
    """Yield the (tokens, position, head) that :func:`verify` runs a program with."""
    for columns, head in product(sorted({1, min(config.columns, context)}), (0, 1)):
        tokens = [0 if n % 2 else vocab - 1 for n in range(columns)]
        # Also across the end of a block of positions.
        yield tokens, context - columns if head else min(context - columns, 30), head


def verify_image(config, image):
    """:func:`verify` the program of a :class:`host.image.image.Image`."""
    verify(
        config,
        image.memory,
        image.memory_units,
        image.writable,
        tuple(image.instructions),
        image.context,
        image.vocab,
    )


def verify(config, memory, units, writable, program, context, vocab):
    """Check a program at its corner positions, columns and head settings.

    Parameters
    ----------
    config : :class:`~rtl.spec.config.Config`
    memory : uint8 array
        The image's, without the KV cache.
    units : :class:`int`
        Units of DRAM.
    writable : (:class:`int`, :class:`int`)
        First unit that may be written, and the end of those.
    program : tuple of :class:`int`
        Instruction words.
    context, vocab : :class:`int`
        Positions and tokens.

    Raises :exc:`~sw_ref.legal.IllegalProgram`.
    """
    insns = decoded(program, config.program_words)
    bounds = Bounds(config, units, *writable)
    sequencers, matrices = {}, {}
    for tokens, position, head in corners(config, context, vocab):
        columns = len(tokens)
        if columns not in sequencers:
            sequencers[columns] = Sequencer(insns, bounds, columns)
        sequencer = sequencers[columns]
        order = Order(config, memory, matrices)
        follower, rounds = _Follower(order), 0
        for pc, insn in sequencer.run(tokens, position, head):
            while rounds < sequencer.rounds:
                follower.end_round()
                rounds += 1
            follower.take(pc, insn)
        if follower.repeats:
            follower.catch_up()
        halt = len(insns) - 1
        follower.guard(lambda _: order.finish(), halt, insns[halt])
