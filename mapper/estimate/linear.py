"""The linear unit: a front that takes weights, and a back that writes results."""

from collections.abc import Callable

from rtl.spec.config import GROUP, Config
from rtl.spec.isa import Embed, Insn, MatMul
from rtl.spec.limits import MAX_BURST_BEATS
from rtl.spec.numbers import UNIT_WORDS

from .best import search_cycles
from .events import Clock, Process
from .hardware import Hardware
from .matrices import Work
from .reader import Client
from .write_port import WritePort


__all__ = ["LinearTime"]


class LinearTime:
    """The linear unit, whose front is one matrix ahead of its back.

    Parameters
    ----------
    beats : :class:`~.reader.Client`
        Weights.
    work : callable
        Gives the next :class:`~.matrices.Work` of the stream, for its instruction.

    Attributes
    ----------
    idle_at : :class:`float`
        Cycle from which on it is not busy, once an instruction was executed.
    """

    def __init__(
        self,
        clock: Clock,
        config: Config,
        hardware: Hardware,
        beats: Client,
        port: WritePort,
        work: Callable[[Insn], Work],
    ):
        self.clock, self.config, self.hardware = clock, config, hardware
        self.beats, self.port, self.work = beats, port, work
        self.ended = 0
        self.idle_at = self.free_at = self.back_at = self.done_at = 0.0

    def execute(self, insn: Insn) -> Process:
        """Take an instruction, and wait until the front is through with it."""
        yield self.clock.until(self.free_at)
        work = self.work(insn)
        if isinstance(insn, MatMul):
            yield from self._multiply(insn, work)
        else:
            assert isinstance(insn, Embed)
            yield from self._embed(insn, work)
        # The next command waits for the back to take this one over.
        self.free_at = self.clock.now + self.hardware.front_drain
        self.idle_at = max(self.done_at, self.clock.now)

    @property
    def complete_at(self) -> float:
        """Cycle in which the last line of what was executed is written, before `idle_at`."""
        return self.idle_at - self.hardware.written + 1

    def drain(self) -> Process:
        """Wait until it is not busy: the last line waits for the write port."""
        yield self.clock.until(self.idle_at - self.hardware.written)
        yield from self.port.write(1)
        yield self.hardware.written - 1

    def _begin_back(self) -> float:
        """Cycle from which on the back works on what the front begins now."""
        begun = max(self.clock.now + 1, self.done_at)
        self.free_at = begun + 1
        return begun

    def _multiply(self, insn: MatMul, work: Work) -> Process:
        clock, config, hardware = self.clock, self.config, self.hardware
        yield from self.beats.take(config.unit_beats)  # the descriptor
        columns = 1 if insn.best else insn.column + 1
        results = work.slices * config.rows * columns  # of a tile
        of_payload = work.payload * config.rows * columns
        held = hardware.sums_held * of_payload + (hardware.logits_held if insn.best else 0)
        ahead = work.slices // work.payload - 1  # cycles from a tile's first sums to its last
        ahead *= config.parts
        back, latency = self._begin_back(), hardware.pipeline
        left, tiles, per_beat = work.beats, 0, work.cycles / work.beats
        of_tile = work.cycles / work.tiles
        # No result comes before the first tile is complete.
        back = max(back, clock.now + of_tile - ahead + latency)
        # Two lines may wait for the port; the first is half complete, in the mean.
        line = config.lanes if insn.column == 0 or insn.best else config.rows
        slack, (ended, _) = 1.5 * line, self.port.stalls(self.ended, 0, line)
        rate = work.tiles * results / line / max(work.cycles, work.tiles * results)
        since = clock.now
        while left:
            count = min(left, MAX_BURST_BEATS)
            yield from self.beats.take(count, per_beat)
            left -= count
            passed = work.tiles * (1 - left / work.beats)
            before, tiles = tiles, int(passed + 1e-6)
            if insn.best:
                rows = work.slices * config.rows
                cycles = search_cycles(insn.rows, before * rows, tiles * rows)
            else:
                cycles = (tiles - before) * results
            # While it is at work, the back stands still when the vector unit writes.
            ended, blocked = self.port.stalls(ended, slack, line)
            blocked *= min(1.0, (cycles + blocked) / max(1.0, clock.now - since))
            since = clock.now
            complete = clock.now - (passed - tiles) * of_tile  # the last of the tiles
            least = max(min(results, cycles) - ahead, of_payload)
            back = max(back + cycles + blocked, complete + latency + least)
            if not insn.best:
                self.port.want(rate, max(back, clock.now + left * per_beat + latency))
            if tiles:  # sums wait before the back, and logits before the search, so many at most
                each = cycles / ((tiles - before) * results) if tiles > before else 1.0
                yield clock.until(back - latency - held * max(1.0, each))
        self.ended = ended
        # The rows that pad the matrix come last, and nobody waits for them.
        padding = (work.tiles * work.slices * config.rows - insn.rows) * columns
        self.done_at = back - min(padding, results) + hardware.row_scale + hardware.place

    def _embed(self, insn: Embed, work: Work) -> Process:
        """Rows pass a step a cycle; the one that is picked gives its elements one by one."""
        clock, config, hardware = self.clock, self.config, self.hardware
        slices = UNIT_WORDS // config.rows
        before = work.beats * (insn.row % UNIT_WORDS // config.rows) // slices
        of_slice = work.beats // slices
        back = self._begin_back()
        yield from self.beats.take(before)
        # The front may go on once the last half of a group is out of the weights.
        half = GROUP // 2
        yield from self.beats.take(of_slice, (GROUP * insn.groups - half) / of_slice)
        back = max(back, clock.now) + half + hardware.embed
        yield from self.beats.take(work.beats - before - of_slice)
        self.done_at = back + hardware.row_scale + hardware.place
