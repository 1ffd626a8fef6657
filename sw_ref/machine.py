"""Functional machine: the executable definition of every instruction, with no notion of time.

Without a `schedule` instructions execute in program order, which is what the mapper means. With one,
each unit has its queue as in hardware and a seeded generator picks which unit goes next: a program
that lacks a token then computes something else, or stops with :exc:`MachineError`.
"""

from collections import deque
from random import Random

import numpy as np

from rtl.formats import integers, stream_units, unpack
from rtl.config import KV_BLOCK, UNIT_BYTES
from rtl.csr import BEST
from rtl.isa import (Append, Attend, Dest, Embed, Func, Halt, Load, Loop, MatMul, Quant,
                     Scalar, Source, Stream, Sync, Token, Unit, Vector, WeightFormat, decode)

from . import numerics
from .attention import attend
from .sequences import FUNCTIONS


__all__ = ["Machine", "MachineError"]


class MachineError(Exception):
    """The program did what no correct program does; the message names the instruction."""


class Machine:
    """Executes a program against a DRAM image.

    Parameters
    ----------
    config : :class:`~rtl.config.Config`
        Only sizes matter here: a core or a clock changes nothing.
    memory : uint8 array
        DRAM. Appended keys and values are written to it.

    Attributes
    ----------
    best : list of (id, fp32 logit)
        Result of the best-logits search, best first.
    logits : float32 (columns, vocabulary) or None
        All products of the last searched matrix, for evaluation; the hardware keeps only `best`.
    """
    def __init__(self, config, memory):
        self.config = config
        self.memory = memory
        self.vector = np.zeros(config.vector_words, np.float32)
        self.act = np.zeros((config.columns, config.act_groups, numerics.GROUP), np.int16)
        self.exponents = np.zeros((config.columns, config.act_groups), np.uint8)
        self.best, self.logits = [], None
        self.trace = None
        self._matrices, self._programs, self._views = {}, {}, {}

    # Program flow

    def run(self, program, *, tokens, position, head=True, schedule=None, trace=None):
        """Execute `program`, a sequence of instruction words, until it halts.

        `schedule` is a seed for the order in which units take turns. `trace`, a function of
        (instruction index, instruction with its registers added), is called after each one.
        """
        self.tokens, self.trace = list(tokens), trace
        self.sources = {Source.POSITION.value: position, Source.COLUMNS.value: len(tokens),
                        Source.HEAD.value: int(head)}
        self.registers = [0] * 8
        self.beats, self.queries, self.kv = deque(), deque(), deque()
        self.counters = [0] * 16
        dispatched = self._sequence(self._decoded(program))
        if schedule is None:
            for pc, insn in dispatched:
                self._complete(pc, insn)
        else:
            self._interleave(dispatched, Random(schedule))

    def _decoded(self, program):
        key = hash(bytes(program)) if isinstance(program, (bytes, bytearray)) else tuple(program)
        if key not in self._programs:
            self._programs[key] = [(insn := decode(word), vars(insn),
                                    [(f, getattr(insn, r), insn.layout[f].width)
                                     for f, r in insn.relative.items() if getattr(insn, r)])
                                   for word in program]
        return self._programs[key]

    def _sequence(self, program):
        """Do what the sequencer does; yield (pc, instruction) in order of dispatch."""
        pc, loops = 0, []
        while True:
            if pc >= len(program):
                raise MachineError(f"Program runs past its end, instruction {pc}")
            insn, values, relative = program[pc]
            match insn:
                case Halt():
                    return
                case Loop():
                    count = insn.count + self._value(insn.source)
                    if count:
                        loops.append([pc + 1, pc + insn.length, count])
                        if len(loops) > 4:
                            raise MachineError(f"Loops nest deeper than 4, instruction {pc}")
                    else:
                        pc += insn.length
                case Scalar():
                    value = ((self._value(insn.source) >> insn.shift) * insn.factor
                             + insn.offset + self._value(insn.plus))
                    self._write(insn.rd, value & 0xffffffff)
                case Token():
                    self._write(insn.rd, self.tokens[self._value(insn.source)])
                case _:
                    if relative:
                        values = dict(values)
                        for name, register, width in relative:
                            values[name] = values[name] + self.registers[register] & (1 << width) - 1
                        resolved = object.__new__(type(insn))
                        resolved.__dict__.update(values)
                        insn = resolved
                    yield pc, insn
            if loops and pc == loops[-1][1]:
                loops[-1][2] -= 1
                if loops[-1][2]:
                    pc = loops[-1][0]
                    continue
                loops.pop()
            pc += 1

    def _value(self, source):
        return self.registers[source] if source < 8 else self.sources[source]

    def _write(self, rd, value):
        if rd:
            self.registers[rd] = value

    def _complete(self, pc, insn):
        try:
            self._execute(insn)
        except (IndexError, ValueError) as error:
            raise MachineError(f"Instruction {pc} ({insn}): {error}") from error
        if self.trace:
            self.trace(pc, insn)

    def _interleave(self, dispatched, rng):
        queues = {unit: deque() for unit in Unit}
        more = True
        while more or any(queues.values()):
            ready = [u for u, q in queues.items() if q and self._may_start(q[0][1])]
            if more and (not ready or rng.random() < 0.5):
                item = next(dispatched, None)
                more = item is not None
                if more:
                    insn = item[1]
                    queues[insn.unit if isinstance(insn, Sync) else Unit(insn.op.value >> 4)].append(item)
            elif ready:
                # Runs of one unit, so that some get far ahead of the others.
                queue = queues[rng.choice(ready)]
                for _ in range(rng.choice((1, 4, 50))):
                    if not queue or not self._may_start(queue[0][1]):
                        break
                    self._complete(*queue.popleft())
            else:
                stuck = "; ".join(f"{u.name} at {q[0][0]} ({q[0][1]})" for u, q in queues.items() if q)
                raise MachineError(f"No unit can go on: {stuck}")

    def _may_start(self, insn):
        match insn:
            case Sync():
                return not insn.take or self.counters[insn.take] > 0
            case MatMul() | Embed():
                return bool(self.beats)
            case Append():
                return len(self.kv) >= insn.heads
            case Attend():
                return len(self.queries) >= insn.heads * insn.queries
        return True

    # Units

    def _execute(self, insn):
        match insn:
            case Vector():
                self._vector(insn)
            case Quant():
                self._quant(insn)
            case MatMul():
                self._matmul(insn)
            case Embed():
                self._embed(insn)
            case Attend():
                self._attend(insn)
            case Append():
                self._append(insn)
            case Load():
                raw = self._dram(insn.addr, insn.size)
                self._words(insn.dst, insn.size * 16)[:] = raw.view("<f4")
            case Stream():
                self._dram(insn.addr, insn.size)
                self.beats.append([insn.addr, insn.size])
            case Sync():
                if self.counters[insn.take] and insn.take:
                    self.counters[insn.take] -= 1
                self.counters[insn.give] += bool(insn.give)

    def _dram(self, addr, size):
        if (addr + size) * UNIT_BYTES > len(self.memory):
            raise ValueError(f"DRAM address {addr + size} is past {len(self.memory) // UNIT_BYTES}")
        return self.memory[addr * UNIT_BYTES:(addr + size) * UNIT_BYTES]

    def _words(self, start, count):
        if start + count > len(self.vector):
            raise IndexError(f"vector memory address {start + count} is past {len(self.vector)}")
        return self.vector[start:start + count]

    def _strided(self, start, stride, outer, inner):
        """View of the vector memory; made once, since the same few hundred come again and again."""
        key = start, stride, outer, inner
        if key not in self._views:
            self._words(start, (outer - 1) * stride + inner)
            self._views[key] = np.lib.stride_tricks.as_strided(
                self.vector[start:], (outer, inner), (stride * 4, 4))
        return self._views[key]

    def _operand(self, insn, const, value, fill, start, stride):
        if const:
            return np.array([value], np.uint32).view(np.float32)
        if fill:
            lanes = self.config.lanes
            return np.tile(self._strided(start, stride, insn.outer, lanes), (1, insn.inner // lanes))
        return self._strided(start, stride, insn.outer, insn.inner)

    def _a(self, insn):
        return self._operand(insn, 0, 0, insn.a_fill, insn.a, insn.a_stride)

    def _b(self, insn):
        return self._operand(insn, insn.b_const, insn.b_value, insn.b_fill, insn.b, insn.b_stride)

    def _c(self, insn):
        return self._operand(insn, insn.c_const, insn.c_value, insn.c_fill, insn.c, insn.c_stride)

    def _vector(self, insn):
        if insn.func == Func.DOT:
            sums = numerics.dot(self._a(insn), self._b(insn))
            self._strided(insn.d, insn.d_stride, insn.outer, self.config.lanes)[:] = sums[:, None]
            return
        uses_b = insn.func in (Func.MADD, Func.NMADD, Func.CLAMP)
        uses_c = insn.func in (Func.MADD, Func.NMADD, Func.SCALE, Func.NSCALE)
        result = FUNCTIONS[insn.func](self._a(insn), self._b(insn) if uses_b else None,
                                      self._c(insn) if uses_c else None)
        self._strided(insn.d, insn.d_stride, insn.outer, insn.inner)[:] = result

    def _quant(self, insn):
        values = self._strided(insn.a, insn.stride, insn.outer, insn.inner)
        if insn.dest == Dest.ACT:
            q, exponents = numerics.quantize(np.ascontiguousarray(values))
            groups = exponents.size
            if insn.act + groups > self.config.act_groups:
                raise IndexError(f"activation group {insn.act + groups} is past {self.config.act_groups}")
            self.act[insn.column, insn.act:insn.act + groups] = q.reshape(groups, -1)
            self.exponents[insn.column, insn.act:insn.act + groups] = exponents.reshape(-1)
            return
        wide = insn.dest == Dest.QUERY
        head = self.config.head_dim
        q, exponents = numerics.quantize(np.ascontiguousarray(values), head, 16 if wide else 8)
        queue = self.queries if wide else self.kv
        queue.extend(zip(q.reshape(-1, head), exponents.reshape(-1)))

    def _take_stream(self, fmt, rows, groups):
        """Advance the weight stream by one matrix; the DRAM unit that it begins at."""
        units = stream_units(fmt, rows, groups, self.config.beat_bytes)
        if not self.beats or self.beats[0][1] < units:
            raise ValueError("the weight stream holds less than the matrix")
        start = self.beats[0][0]
        self.beats[0][0] += units
        self.beats[0][1] -= units
        if not self.beats[0][1]:
            self.beats.popleft()
        return start, units

    def _matrix(self, fmt, rows, groups, centre):
        start, units = self._take_stream(fmt, rows, groups)
        key = start, fmt, rows, groups, centre
        if key not in self._matrices:
            codes, scale, middle, row_scale = unpack(fmt, self._dram(start, units), rows, groups,
                                                     self.config.beat_bytes)
            self._matrices[key] = integers(fmt, codes, scale, middle, centre), row_scale
        return self._matrices[key]

    def _matmul(self, insn):
        weight, row_scale = self._matrix(insn.format, insn.rows, insn.groups, insn.centre)
        groups = slice(insn.act, insn.act + insn.groups)
        # Evaluation looks at the logits of all columns, though hardware searches only one.
        columns = len(self.tokens) if insn.best else insn.column + 1
        q = self.act[:columns, groups].reshape(columns, -1)
        result = numerics.linear(weight, row_scale, q, self.exponents[:columns, groups])
        if insn.best:
            order = np.argsort(-result[insn.column], kind="stable")[:BEST]
            self.best = [(int(n), result[insn.column, n]) for n in order]
            self.logits = result
            return
        for column in range(columns):
            self._words(insn.dst + column * insn.stride, insn.rows)[:] = result[column]

    def _embed(self, insn):
        block = self.config.block_rows
        start, units = self._take_stream(WeightFormat.S8, block, insn.groups)
        codes, scale, _, row_scale = unpack(WeightFormat.S8, self._dram(start, units), block,
                                            insn.groups, self.config.beat_bytes)
        n = insn.row % block
        values = (codes[n].reshape(insn.groups, -1) * scale[n].astype(np.int32)[:, None]).reshape(-1)
        self._words(insn.dst, len(values))[:] = numerics.product(values, row_scale[n])

    def _cache(self, addr, length):
        """Keys and values of one head as (block, 32) arrays, with their exponents: views."""
        blocks, units, dim = -(-length // KV_BLOCK), self.config.kv_block_units, self.config.head_dim
        raw = self._dram(addr, blocks * units).reshape(blocks, units * UNIT_BYTES)
        exponents = raw[:, :UNIT_BYTES].reshape(blocks, 2, KV_BLOCK)
        lines = raw[:, UNIT_BYTES:].reshape(blocks, 2, KV_BLOCK, dim).view(np.int8)
        return lines[:, 0], exponents[:, 0], lines[:, 1], exponents[:, 1]

    def _append(self, insn):
        for head in range(insn.heads):
            q, exponent = self.kv.popleft()
            lines = self._cache(insn.addr + head * insn.stride, KV_BLOCK)[2 * insn.value:][:2]
            lines[0][0, insn.position % KV_BLOCK] = q
            lines[1][0, insn.position % KV_BLOCK] = exponent

    def _attend(self, insn):
        dim, lanes = self.config.head_dim, self.config.lanes
        for head in range(insn.heads):
            groups = [self.queries.popleft() for _ in range(insn.queries)]
            cache = self._cache(insn.addr + head * insn.stride, insn.length)
            k, k_exponent, v, v_exponent = (
                part.reshape(-1, *part.shape[2:])[:insn.length] for part in cache)
            numerators, denominators = attend(
                np.array([q for q, _ in groups]), np.array([e for _, e in groups]),
                k, k_exponent, v, v_exponent)
            for n in range(insn.queries):
                query = head * insn.queries + n
                self._words(insn.dst + query * dim, dim)[:] = numerators[n]
                self._words(insn.sums + query * lanes, lanes)[:] = denominators[n]
