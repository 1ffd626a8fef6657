"""The vector unit: cycles of its instructions."""

from rtl.spec.config import GROUP, Config
from rtl.spec.isa import Dest, Func, Insn, Quant, Vector

from .events import Clock, Process
from .hardware import Hardware
from .streams import Groups
from .write_port import WritePort


__all__ = ["VectorTime", "vector_cycles"]


def vector_cycles(insn: Vector, config: Config, hardware: Hardware) -> int:
    """Cycles from a Vector to when the next instruction may be taken.

    A line a cycle, and no sooner than the first result; DOT folds its partial sums after each
    repetition.
    """
    inner = insn.inner // config.lanes
    lines = insn.outer * inner
    if not lines:
        return 2
    if insn.func == Func.DOT:
        return lines + 1 + insn.outer * (hardware.dot + max(hardware.slots - inner, 0))
    return max(lines + 1, hardware.first_result)


class VectorTime:
    """The vector unit: takes an instruction when it has read all lines of the one before.

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

    def execute(self, insn: Insn) -> Process:
        """Take an instruction, and wait until the next may be taken."""
        if isinstance(insn, Vector):
            cycles, begin = vector_cycles(insn, self.config, self.hardware), self.clock.now
            lines = insn.outer * (insn.inner // self.config.lanes)
            if insn.func != Func.DOT and lines:
                last = lines + self.hardware.last_result
                # The last line can be read as soon as the unit is not busy.
                self.port.reserve(begin + last - 2 - lines, lines)
                self.idle_at = begin + last
            yield cycles
        else:
            assert isinstance(insn, Quant)
            yield from self._quantize(insn)
        self.idle_at = max(self.idle_at, self.clock.now)

    def _quantize(self, insn: Quant) -> Process:
        """Lines enter one a cycle while the buffer, of two heads, has room; a group leaves once its
        last line is in."""
        clock, latency = self.clock, self.hardware.quantizer
        size = GROUP if insn.dest == Dest.ACT else self.config.head_dim
        runs = size // self.config.lanes
        groups = insn.outer * (insn.inner // size)
        if insn.dest == Dest.ACT or not groups:
            yield groups * runs + runs + latency + 2 if groups else 2
            return
        to = self.queries if insn.dest == Dest.QUERY else self.keys
        entered, left = clock.now + 1, [clock.now, clock.now]
        for n in range(groups):
            entered = max(entered, left[n]) + runs
            yield clock.until(max(entered + latency, left[-1]))
            yield from to.give(runs)
            left.append(clock.now)
        yield 2
