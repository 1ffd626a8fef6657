"""Tokens: found in what the instructions of a program read and write.

The program runs without tokens, without values, for two rounds of each loop. Where a unit touches a
word that another unit must have left before, and no token says so yet, a token is put: given as
soon as the other unit's access is complete, taken just before this one. Rules and accesses are the
verifier's (:mod:`sw_ref.order`), which looks at the result again.

Each token keeps its reason: `headrace compile --dump schedule` prints it.
"""

from dataclasses import dataclass, replace
from itertools import count

import numpy as np

from rtl.spec.isa import REGISTERS, Halt, Scalar, Source, Sync, Token, Unit
from sw_ref.accesses import unit_of
from sw_ref.legal import Broken, IllegalProgram
from sw_ref.order import Order

from .assembler import Line


__all__ = ["Tokens"]


ROUNDS = 2  # of each loop: what a round needs of the one before shows in the second
MASK = 0xFFFFFFFF


@dataclass(frozen=True)
class _Event:
    """An instruction that a unit took: where in the tree, and what the unit knows once it is
    complete."""

    trail: tuple  # (line or loop, round) from the outside in
    knows: np.ndarray


@dataclass(frozen=True)
class _Given:
    """A token that waits: who gave it knew this; it was given within these loops' rounds."""

    knows: np.ndarray
    within: tuple


class _Finder(Order):
    """An :class:`~sw_ref.order.Order` that puts the tokens that it misses."""

    def __init__(self, config):
        super().__init__(config, None)
        self.events: dict[int, list[_Event]] = {unit.value: [] for unit in Unit}  # by clock, from 1
        self.counters = {}  # (giver, taker): counter
        self.waits = {}  # counter: list of _Given
        self.before, self.behind = {}, {}  # (Sync, its reason), by the item
        self.trail: tuple = ()  # of the instruction that is taken

    def event(self, trail, insn):
        """A unit takes the next instruction. Raises :exc:`~sw_ref.legal.IllegalProgram` where it
        breaks a rule that no token mends."""
        self.trail = trail
        try:
            self.follow(insn)
        except Broken as broken:
            rule, expected, found = broken.args
            raise IllegalProgram(
                rule, f"Instruction of {trail[-1][0].node} ({insn})", str(expected), str(found)
            ) from None
        unit = unit_of(insn)
        self.events[unit].append(_Event(trail, self.known[unit].copy()))

    def missing(self, unit, other, when, what):
        """Put a token, so that `unit` knows of the first `when` instructions of `other`."""
        why = f"{what}, before {Unit(unit).name}'s {self.trail[-1][0].node}"
        counter = self.counters.setdefault((other, unit), len(self.counters) + 1)
        while self.known[unit][other] < when:
            waits = self.waits.setdefault(counter, [])
            # What a loop's last round gave for the next one is there for what comes behind the
            # loop.
            left = waits and self.trail[: len(waits[0].within)] != waits[0].within
            if not left:
                self._put(unit, other, when, counter, why)
            else:
                depth = self._apart(waits[0].within)
                take = Sync(unit=Unit(unit), take=counter)
                self._add(self.before, self.trail[depth][0], take, why)
            self._learn(unit, waits.pop(0))

    def _apart(self, trail):
        """Depth at which another trail leaves this one."""
        return next(n for n, (one, other) in enumerate(zip(self.trail, trail)) if one != other)

    def _put(self, unit, other, when, counter, why):
        """Give behind the access at clock `when` of `other`, take before this one."""
        events = self.events[other]
        trail = events[when - 1].trail
        depth = self._apart(trail)
        loop = trail[depth][0]
        again = loop is self.trail[depth][0]  # another round of the same loop
        depth += again
        give, take = trail[depth][0], self.trail[depth][0]
        self._add(self.behind, give, Sync(unit=Unit(other), give=counter), why)
        self._add(self.before, take, Sync(unit=Unit(unit), take=counter), why)
        if again:  # the first round finds a token that nobody gave
            first = "nothing yet, for the first round to take"
            # Ahead of what its unit waits for there: this waits for nothing.
            self.before.setdefault(loop, []).insert(
                0, (Sync(unit=Unit(other), give=counter), first)
            )
            if depth > 1:  # or there would be one more each time that the inner loop begins
                last = "what the last round gave, which no round takes"
                self._add(self.behind, loop, Sync(unit=Unit(unit), take=counter), last)
        # It is given when all of `give`, a loop maybe, is done.
        outside = trail[:depth]
        last = max(
            n
            for n in range(when - 1, len(events))
            if events[n].trail[:depth] == outside and events[n].trail[depth][0] is give
        )
        self.waits[counter].append(_Given(events[last].knows, outside))

    def _add(self, where, item, sync, why):
        where.setdefault(item, []).append((sync, why))

    def _learn(self, unit, given):
        np.maximum(self.known[unit], given.knows, out=self.known[unit])

    def reach(self, trail, item, where):
        """The program comes to the Syncs before or behind an item."""
        for sync, _ in where.get(item, ()):
            if sync.take:
                self._learn(sync.unit.value, self.waits[sync.take].pop(0))
            else:
                self.waits[sync.give].append(_Given(self.known[sync.unit.value].copy(), trail))


class _Run:
    """Runs a program's tree: registers, and a few rounds of each loop."""

    def __init__(self, finder, columns):
        self.finder, self.columns = finder, columns
        sources = {Source.POSITION.value: 0, Source.COLUMNS.value: columns, Source.HEAD.value: 1}
        self.values = [0] * REGISTERS + [sources[n] for n in sorted(sources)]

    def items(self, items, trail):
        for item in items:
            self.finder.reach(trail, item, self.finder.before)
            if not isinstance(item, Line):
                for n in range(self.rounds(**item.fields)):
                    self.items(item.items, (*trail, (item, n)))
            else:
                self.line(item, trail)
            self.finder.reach(trail, item, self.finder.behind)

    def rounds(self, count, source):
        return min(count + self.values[source], ROUNDS)

    def line(self, line, trail):
        insn = line.insn
        if isinstance(insn, Scalar):
            self.values[insn.rd] = (
                (self.values[insn.source] >> insn.shift) * insn.factor
                + insn.offset
                + self.values[insn.plus]
            ) & MASK
        elif not isinstance(insn, (Token, Halt)):
            moved = {
                name: getattr(insn, name) + self.values[getattr(insn, register)]
                & (1 << insn.layout[name].width) - 1
                for name, register in insn.relative.items()
                if getattr(insn, register)
            }
            self.finder.event((*trail, (line, 0)), replace(insn, **moved) if moved else insn)


@dataclass(frozen=True)
class Tokens:
    """Syncs of a program: lists before and behind items, by these' places among all items.

    Attributes
    ----------
    before, behind : :class:`dict` of :class:`int` to list of (:class:`~rtl.spec.isa.Sync`, reason)
        The reason, a :class:`str`, says who touches which words that another unit touched before.
    """

    before: dict
    behind: dict

    @classmethod
    def find(cls, items, config):
        """Those that a program's tree of lines and loops needs. Addresses in DRAM do not matter.

        Raises :exc:`~sw_ref.legal.IllegalProgram` where no token makes it legal.
        """
        finder = _Finder(config)
        _Run(finder, min(config.columns, ROUNDS)).items(items, ())
        return cls(
            *(
                {n: where[item] for n, item in enumerate(_all(items)) if item in where}
                for where in (finder.before, finder.behind)
            )
        )

    def insert(self, items):
        """The tree with them."""
        return self._insert(items, count())

    def _insert(self, items, places):
        result = []
        for item in items:
            place = next(places)
            result += (Line(sync, item.node, why) for sync, why in self.before.get(place, ()))
            result.append(item)
            if not isinstance(item, Line):
                item.items = self._insert(item.items, places)
            result += (Line(sync, _last(item), why) for sync, why in self.behind.get(place, ()))
        return result


def _last(item):
    """Name of the node that an item ends with."""
    return item.node if isinstance(item, Line) else _last(item.items[-1])


def _all(items):
    for item in items:
        yield item
        if not isinstance(item, Line):
            yield from _all(item.items)
