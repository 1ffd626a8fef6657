"""What an instruction touches of the vector memory, and which unit executes it."""

from functools import lru_cache

import numpy as np

from rtl.spec.config import GROUP
from rtl.spec.isa import Attend, Embed, Func, Load, MatMul, Quant, Sync, Vector

from .checks import operands


__all__ = ["touched", "unit_of"]


def unit_of(insn):
    """Number of the unit that executes an instruction."""
    return insn.unit.value if type(insn) is Sync else insn.op.value >> 4


@lru_cache(maxsize=1024)
def _words(start, stride, length, count):
    """Index of `count` runs of `length` words, `stride` apart."""
    if count == 1 or stride == length:
        return slice(start, start + count * length)
    if not stride:
        return slice(start, start + length)
    return (start + stride * np.arange(count)[:, None] + np.arange(length)).reshape(-1)


def touched(insn, config):
    """Indices of the vector memory that an instruction reads, and that it writes."""
    lanes, kind = config.lanes, type(insn)
    if kind is Vector:
        lengths = {x: lanes if getattr(insn, f"{x}_fill") else insn.inner for x in operands(insn)}
        return (
            [
                _words(getattr(insn, x), getattr(insn, f"{x}_stride"), length, insn.outer)
                for x, length in lengths.items()
            ],
            [
                _words(
                    insn.d,
                    insn.d_stride,
                    lanes if insn.func == Func.DOT else insn.inner,
                    insn.outer,
                )
            ],
        )
    if kind is Quant:
        return [_words(insn.a, insn.stride, insn.inner, insn.outer)], []
    if kind is Load:
        return [], [_words(insn.dst, 0, 16 * insn.size, 1)]
    if kind is MatMul and not insn.best:
        return [], [_words(insn.dst, insn.stride, insn.rows, insn.column + 1)]
    if kind is Embed:
        return [], [_words(insn.dst, 0, GROUP * insn.groups, 1)]
    if kind is Attend:
        count = insn.heads * insn.queries
        return [], [
            _words(insn.dst, 0, count * config.head_dim, 1),
            _words(insn.sums, 0, count * lanes, 1),
        ]
    return [], []
