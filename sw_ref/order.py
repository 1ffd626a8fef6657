"""Order between instructions: happens-before by tokens and streams, and the races that break it.

Units run side by side, each in order. An access comes *before* another of a different unit if it
does in every run that the tokens allow: vector clocks (Lamport; Fidge; Mattern) carry what each
unit knows to be complete from the giver of a token to its taker. Two accesses to a word, one of
them a write, of which neither comes before the other, are a race.
"""

from collections import deque
from copy import copy
from typing import Any

import numpy as np

from rtl.spec.config import GROUP
from rtl.spec.isa import (
    Append,
    Attend,
    Dest,
    MatMul,
    Quant,
    Sync,
    Unit,
)
from rtl.spec.limits import TOKEN_COUNTERS, TOKENS_AHEAD

from .accesses import touched, unit_of
from .legal import Broken, need
from .weight_stream import WeightStream


__all__ = ["Order"]


CLOCKS = 1 + max(unit.value for unit in Unit)
VECTOR, LINEAR = Unit.VECTOR.value, Unit.LINEAR.value
# The units that touch what is watched here; others cannot be waited for in vain.
WATCHED = [Unit.LOAD.value, LINEAR, VECTOR, Unit.ATTENTION.value]
TAKERS = {Dest.QUERY: Attend, Dest.KV: Append}
NEVER, LONG_AGO, RECENT = -2, -1, 1 << 40


class Order:
    """Follows a run in program order, and refuses what breaks a rule between instructions.

    Parameters
    ----------
    config, memory, seen
        Those of :class:`~.weight_stream.WeightStream`.

    Attributes
    ----------
    weights : :class:`~.weight_stream.WeightStream`
        To be told of every instruction, before :meth:`follow` is.
    """

    def __init__(self, config, memory, seen=None):
        self.config, self.weights = config, WeightStream(config, memory, seen)
        # known[u][v]: how many instructions of unit v are complete, as far as unit u knows.
        self.known = np.zeros((CLOCKS, CLOCKS), np.int64)
        self.writer = np.zeros(config.vector_words, np.uint8)
        self.written = np.zeros(config.vector_words, np.int64)  # 0: never
        self.read = np.zeros(config.vector_words, np.int64)  # by VECTOR, the only one that does
        # Of each column's activations: what VECTOR wrote last and when, and when LINEAR read it.
        self.vectors = [None] * config.columns
        self.quantized, self.used = [0] * config.columns, [0] * config.columns
        self.waiting = [deque() for _ in range(TOKEN_COUNTERS)]  # tokens: what their givers knew
        self.taken = [
            deque() for _ in range(TOKEN_COUNTERS)
        ]  # (taker, when), unless known to givers
        self.groups: Any = None  # [destination, groups left, start], None when none are
        self.touched = {}

    def copy(self):
        """Another that goes on from here by itself, while this one stays as it is."""
        other = copy(self)
        for name in ("known", "writer", "written", "read"):
            setattr(other, name, getattr(self, name).copy())
        for name in ("vectors", "quantized", "used"):
            setattr(other, name, [*getattr(self, name)])
        # What waits in a counter is never changed, nor is what was taken.
        other.waiting, other.taken = (
            [each.copy() for each in all_] for all_ in (self.waiting, self.taken)
        )
        other.weights = self.weights.copy()
        other.groups = self.groups and [*self.groups]
        return other

    def follow(self, insn):
        """Take the next instruction of a unit. Raises :exc:`~sw_ref.legal.Broken`."""
        kind, unit = type(insn), unit_of(insn)
        if self.groups is not None:
            self._expect_taker(insn)
        known = self.known[unit]
        known[unit] += 1
        if kind is Sync:
            self._sync(insn, unit, known)
            return
        if kind is MatMul:
            self._take_activations(insn, known)
        elif kind is Attend:
            self._take_groups(Dest.QUERY, insn.heads * insn.queries, known)
        elif kind is Append:
            self._take_groups(Dest.KV, insn.heads, known)
        elif kind is Quant:
            self._quantize(insn, known)
        self._touch(insn, unit, known)

    def finish(self):
        """Check what a run leaves behind."""
        if self.groups is not None:
            raise Broken(
                "groups",
                "all groups taken before HALT",
                f"{self.groups[1]} left of a QUANT to {self.groups[0].name}",
            )
        self.weights.finish()

    def _sync(self, insn, unit, known):
        if insn.take:
            waiting = self.waiting[insn.take]
            need(waiting, "token", f"a token in counter {insn.take}, given before this", "none")
            np.maximum(known, waiting.popleft(), out=known)
            self.taken[insn.take].append((unit, int(known[unit])))
        if insn.give:
            waiting, taken = self.waiting[insn.give], self.taken[insn.give]
            waiting.append(known.copy())
            # Tokens that were taken, but maybe not before this one is given.
            while taken and taken[0][1] <= known[taken[0][0]]:
                taken.popleft()
            count = len(waiting) + len(taken)
            need(
                count <= TOKENS_AHEAD,
                "token",
                f"at most {TOKENS_AHEAD} tokens in counter {insn.give}",
                f"{count}",
            )

    def _take_activations(self, insn, known):
        wanted = insn.act, insn.groups
        for column in [insn.column] if insn.best else range(insn.column + 1):
            found = self.vectors[column]
            need(
                found == wanted,
                "activations",
                f"groups {wanted[0]} to {sum(wanted)}, as one QUANT made them in column {column}",
                "none" if found is None else f"groups {found[0]} to {sum(found)}",
            )
            if self.quantized[column] > known[VECTOR]:
                what = f"column {column} of the activation buffer, written by VECTOR"
                self.missing(LINEAR, VECTOR, self.quantized[column], what)
            self.used[column] = int(known[LINEAR])

    def _quantize(self, insn, known):
        count = (
            insn.outer * insn.inner // (GROUP if insn.dest == Dest.ACT else self.config.head_dim)
        )
        if insn.dest == Dest.ACT:
            if self.used[insn.column] > known[LINEAR]:
                what = f"column {insn.column} of the activation buffer, read by LINEAR"
                self.missing(VECTOR, LINEAR, self.used[insn.column], what)
            self.vectors[insn.column] = insn.act, count
            self.quantized[insn.column] = int(known[VECTOR])
        else:
            # Groups leave before all of them are read: they tell of what was complete before.
            start = known.copy()
            start[VECTOR] -= 1
            self.groups = [insn.dest, count, start]

    def _expect_taker(self, insn):
        dest, left, _ = self.groups
        if type(insn) is not TAKERS[dest]:
            raise Broken(
                "groups",
                f"an {TAKERS[dest].op.name} for the {left} groups of the QUANT before",
                insn.op.name,
            )

    def _take_groups(self, dest, count, known):
        _, left, start = self.groups or (dest, 0, known)
        need(
            count <= left, "groups", f"{count} groups of one QUANT to {dest.name} before this", left
        )
        np.maximum(known, start, out=known)
        self.groups[1] = left - count
        if left == count:
            self.groups = None

    def _touch(self, insn, unit, known):
        entry = self.touched.get(id(insn))
        if entry is None:
            if len(self.touched) >= 4096:
                self.touched.clear()
            # The instruction itself is kept, so that its id stays its own.
            entry = self.touched[id(insn)] = (insn, *touched(insn, self.config))
        _, reads, writes = entry
        for words in reads:
            written = self.written[words]
            if not written.all():
                self._undefined(words, written)
            self._expect(unit, words, written, self.writer[words], "written by")
            self.read[words] = known[unit]
        for words in writes:
            if unit != VECTOR:
                self._expect(unit, words, self.read[words], VECTOR, "read by")
            self._expect(unit, words, self.written[words], self.writer[words], "written by")
            self.writer[words], self.written[words] = unit, known[unit]

    def _undefined(self, words, written):
        at = np.arange(len(self.written))[words][np.flatnonzero(written == 0)[0]]
        raise Broken("undefined", "operands that this run wrote", f"word {at}, which it did not")

    def _expect(self, unit, words, when, who, how):
        """Accesses to words, at clocks `when` of units `who`, come before what `unit` does now."""
        late = when > self.known[unit][who]
        if not late.any():
            return
        others, at = np.broadcast_to(who, when.shape)[late], np.flatnonzero(late)
        for other in map(int, np.unique(others)):
            its = others == other
            word = np.arange(len(self.written))[words][at[its][0]]
            what = f"word {word}, {how} {Unit(other).name}"
            self.missing(unit, other, int(when[late][its].max()), what)

    def missing(self, unit, other, when, what):
        """`unit` touches `what`, and no token says that `other` has completed its first `when`
        instructions, which touch it too.

        Raises :exc:`~sw_ref.legal.Broken`; a subclass may see to it that `unit` knows.
        """
        raise Broken("race", "a token before this access", f"{what} at any time")

    # Whether a loop's rounds repeat themselves

    def state(self):
        """All that later instructions can depend on, relative to now.

        Two states that compare equal go on in the same way.
        """
        now, floor = self.known.diagonal(), self.known[WATCHED].min(0)

        def ago(when, unit):
            """Clocks of units: relative to now, or all the same when every unit knows of them."""
            return np.where(when <= floor[unit], LONG_AGO, when - now[unit] + RECENT)

        units = np.arange(CLOCKS)
        clocks = [ago(row, units) for row in self.known]
        tokens = [[tuple(ago(token, units)) for token in waiting] for waiting in self.waiting]
        taken = [[(unit, int(ago(when, unit))) for unit, when in taken] for taken in self.taken]
        groups = self.groups and (*self.groups[:2], tuple(ago(self.groups[2], units)))
        return (
            tokens,
            taken,
            list(self.vectors),
            groups,
            [int(ago(when, VECTOR)) for when in self.quantized],
            [int(ago(when, LINEAR)) for when in self.used],
            np.stack(clocks).tobytes(),
            np.where(self.written == 0, NEVER, ago(self.written, self.writer)).tobytes(),
            ago(self.read, VECTOR).tobytes(),
        )
