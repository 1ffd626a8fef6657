"""Events: processes that wait for cycles, and for each other."""

from collections.abc import Generator
from heapq import heappop, heappush
from itertools import count


__all__ = ["Clock", "Process", "Signal"]


class Signal:
    """What processes wait for until it fires."""

    __slots__ = ("waiting",)

    def __init__(self):
        self.waiting: list[Process] = []


# Yields cycles to wait, or a signal.
Process = Generator[float | Signal, None, None]


class Clock:
    """Runs processes in the order of time: generators that yield how many cycles they wait, or a
    :class:`Signal`.

    Attributes
    ----------
    now : :class:`float`
        Cycle.
    """

    def __init__(self):
        self.now = 0.0
        self._queue: list[tuple[float, int, Process]] = []
        self._order = count()

    def start(self, process: Process) -> None:
        """Let a process begin in this cycle."""
        heappush(self._queue, (self.now, next(self._order), process))

    def fire(self, signal: Signal) -> None:
        """Wake all that wait for a signal, in this cycle."""
        waiting, signal.waiting = signal.waiting, []
        for process in waiting:
            self.start(process)

    def until(self, time: float) -> float:
        """Cycles from now to a time; none if it has passed."""
        return max(0.0, time - self.now)

    def run(self) -> None:
        """Run until no process has anything to wait for but signals."""
        queue, order = self._queue, self._order
        while queue:
            self.now, _, process = heappop(queue)
            for wanted in process:
                if isinstance(wanted, Signal):
                    wanted.waiting.append(process)
                    break
                if wanted:
                    heappush(queue, (self.now + wanted, next(order), process))
                    break
