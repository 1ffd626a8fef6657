"""Streams of quantized groups between units."""

from .events import Clock, Process, Signal


__all__ = ["Groups"]


class Groups:
    """Hands groups over, a run of each a cycle, once both sides are ready."""

    def __init__(self, clock: Clock):
        self.clock = clock
        self._runs: int | None = None  # of the group on offer
        self._offered, self._taken = Signal(), Signal()

    def give(self, runs: int) -> Process:
        """Offer a group; wait until it is taken."""
        self._runs = runs
        self.clock.fire(self._offered)
        yield self._taken

    def take(self) -> Process:
        """Wait for a group, and take it."""
        while self._runs is None:
            yield self._offered
        runs, self._runs = self._runs, None
        yield runs
        self.clock.fire(self._taken)
