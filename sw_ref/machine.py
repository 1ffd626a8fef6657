"""Functional machine: the executable definition of every instruction, without timing.

Without a `schedule` instructions execute in program order, which is what the mapper means. With
one, each unit has its queue as in hardware and a seeded generator picks which unit goes next: a
program that lacks a token then computes something else, or stops with :exc:`MachineError`.
"""

from collections import deque
from dataclasses import fields
from random import Random
from typing import Any

import numpy as np

from rtl.spec import kv
from rtl.spec.config import KV_BLOCK, UNIT_BYTES
from rtl.spec.csr import BEST
from rtl.spec.descriptor import Descriptor
from rtl.spec.formats import integers, unpack
from rtl.spec.isa import (
    Append,
    Attend,
    Dest,
    Embed,
    Load,
    MatMul,
    Quant,
    Stream,
    Sync,
    Unit,
    Vector,
)
from rtl.spec.limits import TOKEN_COUNTERS
from rtl.spec.numbers import UNIT_WORDS

from . import attention_kernels as attention, kernels, numerics
from .best import PADDING, best
from .checks import Bounds
from .legal import Broken, IllegalProgram, MachineError, decoded, illegal
from .linear import linear, places
from .order import Order
from .sequencer import Sequencer


__all__ = ["Machine", "MachineError", "IllegalProgram"]


VECTOR_OPERANDS = len(fields(Vector)) - len(Vector.relative) - 1


class Machine:
    """Executes a program against a DRAM image.

    Parameters
    ----------
    config : :class:`~rtl.spec.config.Config`
        Only sizes matter here: a core or a clock changes nothing.
    memory : uint8 array
        DRAM. Appended keys and values are written to it.
    writable : (:class:`int`, :class:`int`)
        First unit of DRAM that may be written, and the end of those. None, unless it is given.
    trusted : :class:`bool`
        Programs were verified (:mod:`sw_ref.verify`): what instructions need of each other is not
        checked again, which takes longer than to execute them.

    Attributes
    ----------
    best : list of (id, fp32 logit)
        Result of the best-logits search, see :func:`sw_ref.best.best`.
    logits : float32 (columns, vocabulary) or None
        All products of the last searched matrix, for evaluation; the hardware keeps only `best`.
    """

    def __init__(self, config, memory, *, writable=None, trusted=False):
        self.config = config
        self.memory = memory
        self.trusted = trusted
        units = len(memory) // UNIT_BYTES
        self.bounds = Bounds(config, units, *(writable or (units, units)))
        self.vector = np.zeros(config.vector_words, np.float32)
        self.act = np.zeros((config.columns, config.act_groups, numerics.GROUP), np.int16)
        self.exponents = np.zeros((config.columns, config.act_groups), np.uint8)
        self.best: list = [PADDING] * BEST
        self.logits: Any = None
        self.trace = None
        self._sequencers, self._matrices = {}, {}
        self._curve = attention.curve(config.score_cap)

    # Program flow

    def run(self, program, *, tokens, position, head=True, schedule=None, trace=None, poll=None):
        """Execute `program`, a sequence of instruction words, until it halts.

        `schedule` is a seed for the order in which units take turns. `trace`, a function of
        (instruction index, instruction with its registers added), is called after each one. `poll`
        is called now and then, and may raise what interrupts the run.

        Raises :exc:`~sw_ref.legal.IllegalProgram`, which names the rule, where a program breaks
        one.
        """
        self.tokens, self.trace = list(tokens), trace
        self.beats, self.queries, self.kv = deque(), deque(), deque()
        self.counters = [0] * TOKEN_COUNTERS
        sequencer = self._sequencer(program)
        dispatched = sequencer.run(self.tokens, position, head, poll)
        if not self.trusted:
            halt = sequencer.program[-1]
            dispatched = self._followed(dispatched, halt.pc, halt.insn)
        if schedule is None:
            for pc, insn in dispatched:
                self._complete(pc, insn)
        else:
            self._interleave(dispatched, Random(schedule))

    def _sequencer(self, program):
        """The sequencer of a program, kept with what it has found out of its instructions."""
        columns = len(self.tokens)
        key = tuple(program), columns
        if key not in self._sequencers:
            insns = decoded(key[0], self.config.program_words)
            self._sequencers[key] = Sequencer(insns, self.bounds, columns)
        return self._sequencers[key]

    def _followed(self, dispatched, *halt):
        """The same instructions, once it is known that none breaks a rule between them."""
        order = Order(self.config, self.memory, self._matrices)
        try:
            for pc, insn in dispatched:
                order.weights.follow(insn)
                order.follow(insn)
                yield pc, insn
            pc, insn = halt
            order.finish()
        except Broken as broken:
            raise illegal(broken, pc, insn) from None

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
                if item is not None:
                    insn = item[1]
                    queues[
                        insn.unit if isinstance(insn, Sync) else Unit(insn.op.value >> 4)
                    ].append(item)
            elif ready:
                # Runs of one unit, so that some get far ahead of the others.
                queue = queues[rng.choice(ready)]
                for _ in range(rng.choice((1, 4, 50))):
                    if not queue or not self._may_start(queue[0][1]):
                        break
                    self._complete(*queue.popleft())
            else:
                stuck = "; ".join(
                    f"{u.name} at {q[0][0]} ({q[0][1]})" for u, q in queues.items() if q
                )
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
                kernels.load(self._words(insn.dst, insn.size * UNIT_WORDS), raw.view("<f4"))
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
        return self.memory[addr * UNIT_BYTES : (addr + size) * UNIT_BYTES]

    def _words(self, start, count):
        if start + count > len(self.vector):
            raise IndexError(f"vector memory address {start + count} is past {len(self.vector)}")
        return self.vector[start : start + count]

    def _vector(self, insn):
        # The kernel's parameters are the instruction's fields, in the order of declaration.
        func, *fields = vars(insn).values()
        kernels.vector(self.vector, self.config.lanes, func.value, *fields[:VECTOR_OPERANDS])

    def _quant(self, insn):
        act, wide = insn.dest == Dest.ACT, insn.dest == Dest.QUERY
        q, exponents = kernels.quantize(
            self.vector,
            insn.outer,
            insn.inner,
            insn.a,
            insn.stride,
            numerics.GROUP if act else self.config.head_dim,
            16 if wide else 8,
        )
        if act:
            groups = slice(insn.act, insn.act + len(q))
            if groups.stop > self.config.act_groups:
                raise IndexError(f"activation group {groups.stop} is past {self.config.act_groups}")
            self.act[insn.column, groups], self.exponents[insn.column, groups] = q, exponents
        else:
            (self.queries if wide else self.kv).extend(zip(q, exponents))

    def _front(self):
        """What is left of the stream in front."""
        if not self.beats:
            raise ValueError("the weight stream holds less than the matrix")
        return self._dram(*self.beats[0])

    def _take(self, size):
        """Advance the weight stream by one matrix of `size` bytes."""
        units = -(-size // UNIT_BYTES)
        self.beats[0][0] += units
        self.beats[0][1] -= units
        if not self.beats[0][1]:
            self.beats.popleft()

    def _matmul(self, insn):
        groups = slice(insn.act, insn.act + insn.groups)
        columns = len(self.tokens) if insn.best else insn.column + 1
        if insn.best:
            # Of all columns, for evaluation; the search is offered those of its own.
            self.logits = np.empty((columns, insn.rows), np.float32)
            out, stride = self.logits.reshape(-1), insn.rows
        else:
            out, stride = (
                self._words(insn.dst, (columns - 1) * insn.stride + insn.rows),
                insn.stride,
            )
        stream = self._front()
        its = Descriptor.unpack(stream[:UNIT_BYTES])
        self._take(
            UNIT_BYTES
            + linear(
                stream[UNIT_BYTES:],
                its.format,
                insn.rows,
                self.config.word_bytes,
                its.centre,
                np.ascontiguousarray(self.act[:columns, groups]),
                np.ascontiguousarray(self.exponents[:columns, groups]),
                out,
                stride,
            )
        )
        if insn.best:
            self.best = best(self.logits[insn.column])

    def _embed(self, insn):
        shape = UNIT_WORDS, insn.groups, self.config.word_bytes
        stream, n = self._front(), insn.row % UNIT_WORDS
        size = places(stream, insn.format, *shape)[-1]
        *parts, row_scale = unpack(insn.format, stream, *shape)
        self._take(size)
        codes, scale, centre = (part[n : n + 1] for part in parts)
        values = integers(insn.format, codes, scale, centre, insn.centre)[0]
        self._words(insn.dst, len(values))[:] = numerics.product(values, row_scale[n])

    def cache(self, addr, length):
        """Keys and values of one head as (block, 32) arrays, with their exponents: views."""
        blocks, units, dim = (
            -(-length // KV_BLOCK),
            self.config.kv_block_units,
            self.config.head_dim,
        )
        raw = self._dram(addr, blocks * units).reshape(blocks, units * UNIT_BYTES)
        exponents = raw[:, :UNIT_BYTES].reshape(blocks, 2, KV_BLOCK)
        lines = raw[:, UNIT_BYTES:].reshape(blocks, 2, KV_BLOCK, dim).view(np.int8)
        return lines[:, 0], exponents[:, 0], lines[:, 1], exponents[:, 1]

    def _append(self, insn):
        for head in range(insn.heads):
            q, exponent = self.kv.popleft()
            lines = self.cache(insn.addr + head * insn.stride, KV_BLOCK)[2 * insn.value :][:2]
            lines[0][0, insn.position % KV_BLOCK] = q
            lines[1][0, insn.position % KV_BLOCK] = exponent

    def _attend(self, insn):
        dim, lanes = self.config.head_dim, self.config.lanes
        walk = insn.addr, insn.stride, insn.length, insn.window, insn.newest
        blocks = np.array(kv.blocks(self.config.kv_block_units, *walk))
        start = kv.first_position(insn.length, insn.window)
        curve = self._curve if insn.cap else attention.NO_CURVE
        for head in range(insn.heads):
            q, exponents = zip(*(self.queries.popleft() for _ in range(insn.queries)))
            own = blocks + head * insn.stride
            self._dram(int(own.max()), self.config.kv_block_units)
            numerators, denominators = attention.attend(
                self.memory,
                own * UNIT_BYTES,
                start,
                insn.length,
                np.array(q),
                np.array(exponents),
                *curve,
            )
            first = head * insn.queries
            self._words(insn.dst + first * dim, numerators.size)[:] = numerators.reshape(-1)
            self._words(insn.sums + first * lanes, insn.queries * lanes)[:] = denominators.repeat(
                lanes
            )
