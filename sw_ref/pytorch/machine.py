"""The machine in PyTorch: what a program's instructions come to, in their order.

As :mod:`sw_ref.pytorch.ops`, written from the definitions of :mod:`rtl.spec.isa` and not from
:mod:`sw_ref.machine`. Packed weights are read by :mod:`rtl.spec.formats`, which
declare them. It takes legal instructions alone, and nothing of it is fast.
"""

from collections import deque

import numpy as np
import torch
from torch import float32, int64

from rtl.spec import formats
from rtl.spec.config import GROUP, KV_BLOCK, UNIT_BYTES
from rtl.spec.descriptor import Descriptor
from rtl.spec.isa import (
    Append,
    Attend,
    Dest,
    Embed,
    Func,
    Load,
    MatMul,
    Quant,
    Stream,
    Sync,
    Vector,
)
from rtl.spec.numbers import UNIT_WORDS

from . import attention as torch_attention, linear as torch_linear, ops as torch_ops


__all__ = ["TorchMachine", "FUNCTIONS"]


# Of the vector unit: all but DOT.
FUNCTIONS = {
    Func.MADD: torch_ops.madd,
    Func.NMADD: torch_ops.nmadd,
    Func.CLAMP: lambda a, b, c: torch_ops.clamp(a, b),
    Func.SCALE: lambda a, b, c: torch_ops.scale(a, c),
    Func.NSCALE: lambda a, b, c: torch_ops.scale(a, c, -1),
    Func.RECIP: lambda a, b, c: torch_ops.reciprocal_seed(a),
    Func.RSQRT: lambda a, b, c: torch_ops.rsqrt_seed(a),
    Func.NSCALE1: lambda a, b, c: torch_ops.madd(torch_ops.scale(a, c, -1), 1.0, 1.0),
    Func.REST: lambda a, b, c: torch_ops.nmadd(a, b, torch_ops.low_ten(c).float()),
}


class TorchMachine:
    """Executes instructions, of which the registers are added, against a DRAM image.

    Parameters
    ----------
    config : :class:`~rtl.spec.config.Config`
    memory : uint8 array
        DRAM. It is written to.
    columns : :class:`int`
        Columns in use.

    Attributes
    ----------
    vector : float32 tensor
        Vector memory.
    best : int64 tensor, float32 tensor
        Ids and values of the last search.
    """

    def __init__(self, config, memory, columns):
        self.config, self.memory, self.columns = config, memory, columns
        self.vector = torch.zeros(config.vector_words)
        self.act = torch.zeros(config.columns, config.act_groups, GROUP, dtype=int64)
        self.exponents = torch.zeros(config.columns, config.act_groups, dtype=int64)
        self.best = torch_linear.best(torch.zeros(0))
        self.streams, self.keys, self.queries = deque(), deque(), deque()

    def execute(self, insn):
        """Do what an instruction does."""
        match insn:
            case Load():
                words = self.dram(insn.addr, insn.size).view(np.float32)
                self.write(insn.dst, torch_ops.load(torch.from_numpy(words.copy())))
            case Vector():
                self._vector(insn)
            case Quant():
                self._quant(insn)
            case Stream():
                self.streams.append(self.dram(insn.addr, insn.size))
            case MatMul():
                self._matmul(insn)
            case Embed():
                weight, row_scale = self.matrix(insn.format, UNIT_WORDS, insn.groups, insn.centre)
                row = insn.row % UNIT_WORDS
                self.write(insn.dst, torch_ops.multiply(weight[row].to(float32), row_scale[row]))
            case Append():
                for head in range(insn.heads):
                    self._append(insn.addr + head * insn.stride, insn, *self.keys.popleft())
            case Attend():
                self._attend(insn)
            case Sync():
                pass
            case _:
                raise TypeError(f"Instruction must be one of a unit, not {insn!r}")

    def dram(self, addr, units):
        """So many units of DRAM: a view."""
        return self.memory[addr * UNIT_BYTES : (addr + units) * UNIT_BYTES]

    def write(self, start, values):
        """Write words to the vector memory, a tensor of any shape."""
        self.vector[start : start + values.numel()] = values.flatten()

    def places(self, insn, name, inner):
        """Addresses of an operand, or of the result: (outer, inner)."""
        start, stride = getattr(insn, name), getattr(insn, f"{name}_stride")
        at = torch.arange(inner)
        if getattr(insn, f"{name}_fill", 0):
            at %= self.config.lanes
        return start + stride * torch.arange(insn.outer)[:, None] + at

    def operand(self, insn, name):
        """An operand: (outer, inner)."""
        if getattr(insn, f"{name}_const", 0):
            pattern = np.array(getattr(insn, f"{name}_value"), np.uint32).view(np.int32)
            return torch.from_numpy(pattern).view(float32).expand(insn.outer, insn.inner)
        return self.vector[self.places(insn, name, insn.inner)]

    def _vector(self, insn):
        a, b, c = (self.operand(insn, name).contiguous() for name in "abc")
        if insn.func == Func.DOT:
            places = self.places(insn, "d", self.config.lanes)
            result = torch_ops.dot(a, b)[:, None].expand(places.shape)
        else:
            places, result = self.places(insn, "d", insn.inner), FUNCTIONS[insn.func](a, b, c)
        for at, values in zip(places, result):
            self.vector[at] = values

    def _quant(self, insn):
        group = GROUP if insn.dest == Dest.ACT else self.config.head_dim
        x = torch.stack(
            [self.vector[insn.a + n * insn.stride :][: insn.inner] for n in range(insn.outer)]
        )
        q, exponent = torch_ops.quantize(x, group, 16 if insn.dest == Dest.QUERY else 8)
        groups = list(zip(q.reshape(-1, group), exponent.flatten().to(int64)))
        if insn.dest == Dest.ACT:
            for n, (values, e) in enumerate(groups, insn.act):
                self.act[insn.column, n], self.exponents[insn.column, n] = values, e
        else:
            (self.queries if insn.dest == Dest.QUERY else self.keys).extend(groups)

    def matrix(self, fmt, rows, groups, centre_shift):
        """Take a matrix off the stream: integer weights (rows, K), and row scales."""
        stream = self.streams[0].tobytes()
        shape = rows, groups, self.config.word_bytes
        units = formats.stream_units(fmt, *shape, stream)
        self.streams[0] = self.streams[0][units * UNIT_BYTES :]
        if not len(self.streams[0]):
            self.streams.popleft()
        *parts, row_scale = formats.unpack(fmt, stream[: units * UNIT_BYTES], *shape)
        codes, scale, centre = (torch.from_numpy(part.astype(np.int64)) for part in parts)
        weight = torch_linear.weights(fmt, codes, scale, centre, centre_shift)
        return weight, torch.from_numpy(row_scale.copy())

    def _matmul(self, insn):
        its = Descriptor.unpack(self.streams[0][:UNIT_BYTES])
        self.streams[0] = self.streams[0][UNIT_BYTES:]
        weight, row_scale = self.matrix(its.format, its.rows, its.groups, its.centre)
        groups = slice(insn.act, insn.act + insn.groups)
        columns = range(self.columns) if insn.best else range(insn.column + 1)
        for column in columns:
            q = self.act[column, groups].reshape(1, -1)
            exponent = self.exponents[column, groups].reshape(1, -1)
            total = torch_linear.exact_sums(weight, q, exponent)
            result = torch_linear.scaled(total, row_scale, exponent.amax(-1, keepdim=True))[0]
            if not insn.best:
                self.write(insn.dst + column * insn.stride, result)
            elif column == insn.column:
                self.best = torch_linear.best(result)

    def head(self, addr, position):
        """Elements and exponents of a position in a head's cache, of its key and value: views."""
        line, units = position % KV_BLOCK, self.config.kv_block_units
        block = self.dram(addr + position // KV_BLOCK * units, units)
        lines = block[UNIT_BYTES:].reshape(2, KV_BLOCK, -1)
        return [(lines[n, line].view(np.int8), block[n * KV_BLOCK + line :][:1]) for n in range(2)]

    def attended(self, insn, head):
        """What :meth:`head` gives, of each position that a head attends to."""
        addr, units = insn.addr + head * insn.stride, self.config.kv_block_units
        if not insn.window:
            return [self.head(addr, position) for position in range(insn.length)]
        cache, block = [], insn.newest - insn.addr
        # Backwards from the newest, around the ring.
        for position in range(insn.length - 1, max(0, insn.length - insn.window) - 1, -1):
            cache.append(self.head(addr + block, position % KV_BLOCK))
            if position % KV_BLOCK == 0:
                block = (block or insn.stride) - units
        return cache[::-1]

    def _append(self, addr, insn, values, exponent):
        elements, place = self.head(addr, insn.position % KV_BLOCK)[insn.value]
        elements[:], place[:] = values.numpy(), int(exponent)

    def _attend(self, insn):
        dim, lanes = self.config.head_dim, self.config.lanes
        for head in range(insn.heads):
            queries = [self.queries.popleft() for _ in range(insn.queries)]
            q, q_exponent = map(torch.stack, zip(*queries))
            cache = self.attended(insn, head)
            k, k_exponent, v, v_exponent = (
                torch.from_numpy(np.stack([pair[which][part] for pair in cache]).astype(np.int64))
                for which in range(2)
                for part in range(2)
            )
            numerators, denominators = torch_attention.attend_quantized(
                q,
                q_exponent,
                k,
                k_exponent[:, 0],
                v,
                v_exponent[:, 0],
                start=insn.length - len(cache),
                cap=self.config.score_cap * insn.cap,
            )
            first = head * insn.queries
            self.write(insn.dst + first * dim, numerators)
            self.write(insn.sums + first * lanes, denominators[:, None].expand(-1, lanes))
