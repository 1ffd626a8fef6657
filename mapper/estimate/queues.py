"""Queues of the units, and the tokens between them."""

from collections import deque
from collections.abc import Callable

from rtl.spec.isa import Insn, Sync

from .events import Clock, Process, Signal
from .hardware import Hardware


__all__ = ["Queue", "Tokens"]


class Tokens:
    """Token counters."""

    def __init__(self, clock: Clock, hardware: Hardware):
        self.clock, self.hardware = clock, hardware
        self.counts: dict[int, int] = {}
        self.given: dict[int, Signal] = {}

    def give(self, counter: int, late: bool) -> None:
        """Give a token, which can be taken some cycles later; one more if its Sync took one."""
        self.clock.start(self._give(counter, late))

    def _give(self, counter: int, late: bool) -> Process:
        yield self.hardware.given + late
        self.counts[counter] = self.counts.get(counter, 0) + 1
        self.clock.fire(self.given.setdefault(counter, Signal()))

    def take(self, counter: int) -> Process:
        """Wait for a token, and take it."""
        while not self.counts.get(counter, 0):
            yield self.given.setdefault(counter, Signal())
        self.counts[counter] -= 1


class Queue:
    """A unit's queue: gives it one instruction after the other, and executes the Syncs.

    Parameters
    ----------
    unit
        Executes instructions: `execute(insn)` is a process, `idle_at` when it is not busy; and with
        `beside`, `complete_at` when all is complete.
    depth : :class:`int`
    beside : :class:`bool`
        Syncs that only give wait beside the queue.
    note : callable
        Told (program counter, cycle of the taking, cycle of the end) of each.
    """

    def __init__(
        self,
        clock: Clock,
        hardware: Hardware,
        tokens: Tokens,
        unit,
        depth: int,
        beside: bool,
        note: Callable[[int, float, float], None],
    ):
        self.clock, self.hardware, self.tokens, self.unit = clock, hardware, tokens, unit
        self.beside, self.note = beside, note
        self.room = depth + 1  # the head is in a register
        self.entries: deque[tuple[float, int, Insn]] = deque()
        self.filled, self.freed = Signal(), Signal()
        self.executing = self.due = False
        self.gone = Signal()
        clock.start(self._run())

    @property
    def idle(self) -> bool:
        """Nothing is held, and the unit is not busy."""
        return not self.entries and not self.executing and self.unit.idle_at <= self.clock.now

    def push(self, pc: int, insn: Insn) -> Process:
        """Wait for room, and put an instruction in."""
        while not self.room:
            yield self.freed
        self.room -= 1
        self.entries.append((self.clock.now, pc, insn))
        self.clock.fire(self.filled)

    def _give(self, insn: Sync, done: float) -> Process:
        """Give a token once all before it is complete."""
        yield self.clock.until(done)
        yield self.hardware.sync
        self.tokens.give(insn.give, False)
        self.due = False
        self.clock.fire(self.gone)

    def _run(self) -> Process:
        clock, hardware, unit, entries = self.clock, self.hardware, self.unit, self.entries
        taken = 0.0
        while True:
            while not entries:
                self.executing = False
                yield self.filled
            self.executing = True
            pushed, pc, insn = entries.popleft()
            yield clock.until(max(pushed + hardware.queue, taken + hardware.next_insn))
            self.room += 1
            clock.fire(self.freed)
            if isinstance(insn, Sync) and self.beside and not insn.take:
                # It waits beside the queue, where there is room for one.
                while self.due:
                    yield self.gone
                self.due = True
                clock.start(self._give(insn, unit.complete_at))
                taken = clock.now
            elif isinstance(insn, Sync):
                if hasattr(unit, "drain"):
                    yield from unit.drain()
                yield clock.until(unit.idle_at)
                while self.due:
                    yield self.gone
                yield hardware.sync
                if insn.take:
                    yield from self.tokens.take(insn.take)
                if insn.give:
                    self.tokens.give(insn.give, insn.take != 0)
                taken = clock.now
            else:
                taken = clock.now
                yield from unit.execute(insn)
            self.note(pc, taken, max(taken, unit.idle_at))
