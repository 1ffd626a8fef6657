"""The attention unit: APPEND, and ATTEND block by block."""

from dataclasses import dataclass

from rtl.spec import kv
from rtl.spec.config import KV_BLOCK, UNIT_BYTES, Config
from rtl.spec.isa import Append, Attend, Insn

from .dram import Memory
from .events import Clock, Process, Signal
from .hardware import Hardware
from .reader import Client
from .streams import Groups


__all__ = ["AttentionTime"]


@dataclass(slots=True)
class _Phase:
    """Keys, or values, of a block."""

    value: bool
    address: int
    units: int
    lines: int  # positions
    last: bool  # block of its head


class AttentionTime:
    """The attention unit, which executes one instruction at a time.

    Attributes
    ----------
    idle_at : :class:`float`
        Cycle from which on it is not busy.
    """

    def __init__(
        self,
        clock: Clock,
        config: Config,
        hardware: Hardware,
        client: Client,
        memory: Memory,
        queries: Groups,
        keys: Groups,
    ):
        self.clock, self.config, self.hardware = clock, config, hardware
        self.client, self.memory, self.queries, self.keys = client, memory, queries, keys
        self.idle_at = self.writer_free = 0.0
        self.banks, self.bank_full, self.bank_free = 0, Signal(), Signal()
        self.ahead, self.phase_done = 0, Signal()

    def execute(self, insn: Insn) -> Process:
        """Take an instruction, and wait until its effects are there."""
        yield 1
        if isinstance(insn, Append):
            yield from self._append(insn)
        else:
            assert isinstance(insn, Attend)
            yield from self._attend(insn)
        self.idle_at = self.clock.now

    def _append(self, insn: Append) -> Process:
        """A head's elements are collected, then written line by line, then its exponent, which
        fills a unit first; at the end memory acknowledges all.
        """
        clock, config, hardware = self.clock, self.config, self.hardware
        line_units = config.head_dim // UNIT_BYTES
        place = insn.position % KV_BLOCK + KV_BLOCK * insn.value
        last = clock.now
        yield 1
        for head in range(insn.heads):
            yield from self.keys.take()
            block = insn.addr + head * insn.stride
            for unit in [*(block + 1 + place * line_units + n for n in range(line_units)), block]:
                if unit == block:
                    yield config.head_dim // config.lanes
                yield clock.until(self.writer_free)
                self.writer_free = clock.now + hardware.write_line
                last = clock.now + hardware.write_start + config.unit_beats
                self.memory.write(last, unit * UNIT_BYTES)
                yield 1
        yield clock.until(last + hardware.write_answer)
        yield 2

    def _phases(self, insn: Attend) -> list[_Phase]:
        """Those of all heads in order: values one block behind the keys."""
        config, line_units = self.config, self.config.head_dim // UNIT_BYTES
        first = kv.first_position(insn.length, insn.window)
        skip, found, behind = first % KV_BLOCK, [], None
        left = insn.length - (first - skip)
        for head in range(insn.heads):
            addr, newest = (x + head * insn.stride for x in (insn.addr, insn.newest))
            blocks = kv.blocks(
                config.kv_block_units, addr, insn.stride, insn.length, insn.window, newest
            )
            for n, block in enumerate(blocks):
                count = min(KV_BLOCK, left - n * KV_BLOCK)
                before, last = skip if n == 0 else 0, n == len(blocks) - 1
                found.append(_Phase(False, block, count * line_units + 1, count, last))
                if behind:
                    found.append(behind)
                at = block + 1 + (KV_BLOCK + before) * line_units
                count -= before
                behind = _Phase(True, at, count * line_units, count, last)
        return [*found, behind] if behind else found

    def _ask(self, phases: list[_Phase]) -> Process:
        """Request phases, as far ahead as they are kept."""
        for phase in phases:
            while self.ahead > self.hardware.phases_ahead:
                yield self.phase_done
            self.ahead += 1
            self.client.request(phase.address, phase.units)
            yield 1

    def _collect(self, heads: int, queries: int) -> Process:
        """Fill the query buffer, a bank for each KV head, two at a time."""
        for _ in range(heads):
            while self.banks == 2:
                yield self.bank_free
            for _ in range(queries):
                yield from self.queries.take()
            self.banks += 1
            self.clock.fire(self.bank_full)

    def _attend(self, insn: Attend) -> Process:
        clock, config, hardware = self.clock, self.config, self.hardware
        chunks = config.head_dim // config.beat_bytes
        # Sums of a chunk are handed on word by word, once a block those of the denominators too.
        handed = -(-insn.queries * config.beat_bytes // hardware.words)
        phases = self._phases(insn)
        clock.start(self._collect(insn.heads, insn.queries))
        yield hardware.sequence + (hardware.window if insn.window else 0)
        clock.start(self._ask(phases))
        scored = []  # when the scores of blocks, whose values are to come, are there
        weighed = summed = opened = 0.0
        for phase in phases:
            if not phase.value:
                yield from self.client.take(config.unit_beats)
                while not self.banks:
                    yield self.bank_full
                yield from self.client.take(phase.lines * chunks)
                scored.append(clock.now + hardware.scores)
                if phase.last:
                    self.banks -= 1
                    clock.fire(self.bank_free)
            else:
                # Weights follow those of the block before; values come chunk by chunk, the first
                # one of the last position before the second one of the first.
                start = max(max(scored.pop(0), weighed) + hardware.softmax, clock.now)
                yield from self.client.take(phase.lines * chunks, 1.0, start)
                # A chunk ends once the sums of the one before are on their way; in a head's last
                # block, once they are all gone.
                after = handed + (hardware.capture - 1) * phase.last
                ended = max(start + phase.lines, self.client.latest + 2 - chunks, opened)
                yield clock.until(ended + (chunks - 1) * max(phase.lines, after))
                weighed = clock.now + 1
                opened = clock.now + after + insn.queries
                summed = clock.now + hardware.kept + handed + insn.queries
            self.ahead -= 1
            clock.fire(self.phase_done)
        yield clock.until(summed + hardware.output)
        yield 1
