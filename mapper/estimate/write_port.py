"""The vector memory's only write port, which the vector unit has whenever it wants it."""

from .events import Clock, Process


__all__ = ["WritePort"]


class WritePort:
    """Cycles in which the vector unit writes, and those that are left to others."""

    def __init__(self, clock: Clock, share: int):
        self.clock = clock
        self.begin = self.end = 0.0  # of the vector unit's last lines
        self._want, self._share = (0.0, 0.0), share
        self._before = 0.0  # lines before them
        self._ends: list[tuple[float, float]] = []  # when it ended, and with how many lines

    def reserve(self, begin: float, lines: float) -> None:
        """The vector unit writes lines from a cycle on."""
        self._before += self.end - self.begin
        self._ends.append((begin + lines, lines))
        self.begin, self.end = begin, begin + lines

    def want(self, lines: float, until: float) -> None:
        """Another unit has so many lines to write a cycle, until some cycle."""
        self._want = lines, until

    @property
    def wanted(self) -> float:
        """Share of the cycles that the vector unit leaves to units that wait."""
        lines, until = self._want
        return min(lines, 1 / self._share) if self.clock.now < until else 0.0

    @property
    def used(self) -> float:
        """Lines that the vector unit has written so far."""
        return self._before + min(max(0.0, self.clock.now - self.begin), self.end - self.begin)

    def stalls(self, ended: int, slack: float, line: float) -> tuple[int, float]:
        """Cycles that somebody has stood still who makes a line in so many cycles, and may wait
        `slack` cycles for the port, since the vector unit had written `ended` times; and how often
        it has by now.
        """
        lost, ends = 0.0, self._ends
        while ended < len(ends) and ends[ended][0] <= self.clock.now:
            cycles = ends[ended][1]
            lost += max(0.0, cycles * (1 - line / self._share) - slack)
            ended += 1
        return ended, lost

    def write(self, lines: float) -> Process:
        """Write lines of another unit, in the cycles that are left."""
        clock = self.clock
        while lines > 0:
            if self.begin <= clock.now < self.end:
                # A cycle in `share` is left.
                count = min(lines, max(1.0, (self.end - clock.now) / self._share))
                yield min(count * self._share, self.end - clock.now)
                lines -= count
                continue
            count = lines if clock.now >= self.end else min(lines, self.begin - clock.now)
            before = self.used
            yield count
            lines -= count - (self.used - before)
