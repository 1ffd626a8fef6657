"""The vector unit: lines a cycle, and what waits for the results of the instruction before."""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from rtl.spec.config import GROUP, Config
from rtl.spec.isa import Dest, Func, Insn, Quant, Vector

from .events import Clock, Process
from .hardware import Hardware
from .streams import Groups
from .write_port import WritePort


__all__ = ["VectorTime", "holds"]


def _lines(start: int, stride: int, fill: bool, insn, lanes: int) -> np.ndarray:
    """Lines of an operand, step by step."""
    inner = np.zeros(insn.inner // lanes, int) if fill else np.arange(insn.inner // lanes)
    return (start // lanes + stride // lanes * np.arange(insn.outer)[:, None] + inner).reshape(-1)


class Hold(NamedTuple):
    """When an instruction's steps may be, after the last step of the one before: its first step,
    and its last one if all before it follow each other.
    """

    first: int
    last: int


@lru_cache(maxsize=4096)
def holds(before: Vector, insn: Insn, lanes: int, latency: int) -> Hold | None:
    """What the interlock holds up of an instruction, of results of the one before.

    A read of a line between the result that is in memory and the last one of the instruction before
    waits until a result at that line, or beyond, is there.
    """
    if before.func == Func.DOT:
        return None
    written = _lines(before.d, before.d_stride, False, before, lanes)
    if isinstance(insn, Vector):
        reads = [
            _lines(
                getattr(insn, x),
                getattr(insn, f"{x}_stride"),
                getattr(insn, f"{x}_fill"),
                insn,
                lanes,
            )
            for x in ("a", *(x for x in "bc" if not getattr(insn, f"{x}_const")))
        ]
    else:
        assert isinstance(insn, Quant)
        reads = [_lines(insn.a, insn.stride, False, insn, lanes)]
    if not len(written) or not len(reads[0]):
        return None
    rising = np.maximum.accumulate(written)
    count, needs = len(written), np.full(len(reads[0]), -(1 << 30))
    for lines in reads:
        at = np.searchsorted(rising, lines)  # the result that ends the wait
        waits = (lines <= written[-1]) & (lines > written[0] - 1)
        needs = np.maximum(
            needs, np.where(waits, np.minimum(at, count - 1) - count + 1, -(1 << 30))
        )
    needs = needs + latency
    steps = np.arange(len(needs))
    return Hold(int(needs[0]), int((needs - steps).max() + len(needs) - 1))


class VectorTime:
    """The vector unit: reads a line a cycle, of one instruction after the other.

    An instruction is taken once the first result of the one before is written, and its reads wait
    for those that it needs. DOT folds its partial sums after each repetition, and QUANT waits until
    its groups are accepted, before the next is taken.

    Attributes
    ----------
    idle_at : :class:`float`
        Cycle from which on it is not busy.
    queries, keys : :class:`~.streams.Groups`
        Quantized groups for attention.
    """

    def __init__(self, clock: Clock, config: Config, hardware: Hardware, port: WritePort):
        self.clock, self.config, self.hardware, self.port = clock, config, hardware, port
        self.idle_at = 0.0
        self.queries, self.keys = Groups(clock), Groups(clock)
        self._before: Vector | None = None  # whose results may be on their way
        self._last_step = 0.0

    def execute(self, insn: Insn) -> Process:
        """Take an instruction, and wait until the next may be taken."""
        assert isinstance(insn, Vector | Quant)
        lines = insn.outer * (insn.inner // self.config.lanes)
        if not lines:
            yield 2
            return
        first, last = self._steps(insn, lines)
        if isinstance(insn, Quant):
            yield from self._quantize(insn, first, last - first - lines + 1)
            self._before, self.idle_at = None, self.clock.now
        elif insn.func == Func.DOT:
            fold = self.hardware.dot + max(0, self.hardware.slots - lines // insn.outer)
            yield self.clock.until(last + 1 + insn.outer * fold)
            self._before, self.idle_at = None, self.clock.now
        else:
            yield from self._results(insn, first, last, lines)

    def _steps(self, insn: Vector | Quant, lines: int) -> tuple[float, float]:
        """Cycles of the first and the last read."""
        first = self.clock.now + 1
        last = first + lines - 1
        if self._before is not None:
            latency = self.hardware.result + self.hardware.visible
            hold = holds(self._before, insn, self.config.lanes, latency)
            if hold is not None:
                first = max(first, self._last_step + hold.first)
                last = max(first + lines - 1, self._last_step + hold.last)
        return first, last

    def _results(self, insn: Vector, first: float, last: float, lines: int) -> Process:
        clock, hardware = self.clock, self.hardware
        # While others wait for the port, some cycles go by without a read.
        last += lines * self.port.wanted / (1 - self.port.wanted)
        written = hardware.result
        self.port.reserve(first + written, last - first + 1)
        self._before, self._last_step = insn, last
        self.idle_at = last + written + 1
        taken = max(last + 1, first + written + 1)
        if insn.outer > 1 and insn.d_stride < insn.inner:  # its results do not rise
            taken = max(taken, self.idle_at)
        yield clock.until(taken)

    def drain(self) -> Process:
        """Wait until it is not busy."""
        yield self.clock.until(self.idle_at)

    def _quantize(self, insn: Quant, begun: float, held: float) -> Process:
        """Lines enter one a cycle while the buffer, of two heads, has room; a group leaves once its
        last line is in."""
        clock, latency = self.clock, self.hardware.quantizer
        size = GROUP if insn.dest == Dest.ACT else self.config.head_dim
        runs = size // self.config.lanes
        groups = insn.outer * (insn.inner // size)
        yield clock.until(begun - 1 + held)
        if insn.dest == Dest.ACT:
            yield groups * runs + runs + latency + 2
            return
        to = self.queries if insn.dest == Dest.QUERY else self.keys
        entered, left = clock.now + 1, [clock.now, clock.now]
        for n in range(groups):
            entered = max(entered, left[n]) + runs
            yield clock.until(max(entered + latency, left[-1]))
            yield from to.give(runs)
            left.append(clock.now)
        yield 2
