"""The vector memory's only write port, which the vector unit has but for what it leaves to others
that wait."""

from rtl.vector.unit import VectorUnit

from .events import Clock, Process


__all__ = ["WritePort"]


class WritePort:
    """Cycles in which the vector unit writes, and those that are left to others."""

    def __init__(self, clock: Clock):
        self.clock = clock
        self.begin = self.end = 0.0  # of the vector unit's last lines
        self._before = 0.0  # lines before them
        self._ends: list[tuple[float, float]] = []  # when it ended, and with how many lines

    def reserve(self, begin: float, lines: int) -> None:
        """The vector unit writes lines from a cycle on."""
        self._before += self.end - self.begin
        self._ends.append((begin + lines, lines))
        self.begin, self.end = begin, begin + lines

    @property
    def used(self) -> float:
        """Lines that the vector unit has written so far."""
        return self._before + min(max(0.0, self.clock.now - self.begin), self.end - self.begin)

    def stalls(self, ended: int, slack: float, lanes: int) -> tuple[int, float]:
        """Cycles that somebody has stood still who may wait `slack` cycles for the port, and takes
        `lanes` for a line, since the vector unit had written `ended` times; and how often it has
        by now.
        """
        lost, ends = 0.0, self._ends
        while ended < len(ends) and ends[ended][0] <= self.clock.now:
            lines = ends[ended][1]
            lost += max(0.0, lines - slack - lines // VectorUnit.SHARE * lanes)
            ended += 1
        return ended, lost

    def write(self, lines: float) -> Process:
        """Write lines of another unit, in the cycles that are left; of others, one in `SHARE`."""
        clock = self.clock
        while lines > 0:
            if self.begin <= clock.now < self.end:
                shared = min(self.end - clock.now, lines * VectorUnit.SHARE)
                yield shared
                lines -= shared // VectorUnit.SHARE
                continue
            count = lines if clock.now >= self.end else min(lines, self.begin - clock.now)
            before = self.used
            yield count
            lines -= count - (self.used - before)
