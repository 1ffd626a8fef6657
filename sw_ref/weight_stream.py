"""The weight stream of a run: what STREAMs fetch, and which matrix takes it."""

from collections import deque
from copy import copy
from functools import lru_cache

from rtl.spec.config import UNIT_BYTES
from rtl.spec.descriptor import Contradiction, Descriptor, contradictions, fields_of, matrix_units
from rtl.spec.formats import SPARSE, stream_units
from rtl.spec.isa import Embed, MatMul, Stream
from rtl.spec.limits import STREAMS_AHEAD
from rtl.spec.numbers import UNIT_WORDS

from .legal import Broken, need


__all__ = ["WeightStream"]


_dense_units = lru_cache(maxsize=256)(matrix_units)
_block_units = lru_cache(maxsize=256)(stream_units)


def _sparse_units(fmt, rows, groups, config, stream):
    """Units that a sparse matrix takes of the bytes of a stream. Raises :exc:`Broken` if they are
    none.
    """
    from .linear import sound  # compiled when it is first needed, which is not everywhere

    try:
        size = sound(stream[UNIT_BYTES:], fmt, rows, groups, config)
    except ValueError as error:
        raise Broken(
            "stream" if "holds less" in str(error) else "weights",
            "a whole sparse matrix",
            str(error),
        ) from None
    return 1 - (-size // UNIT_BYTES)


class WeightStream:
    """Follows the weight stream in program order, and refuses what breaks one of the rules
    `stream`, `descriptor`, `format`, `sum` and `weights`.

    Parameters
    ----------
    config : :class:`~rtl.spec.config.Config`
    memory : uint8 array
        DRAM, which is looked at where matrices lie.
    seen : :class:`dict`
        Units of the matrices that were looked at, in whatever run: no run changes them.

    Attributes
    ----------
    waiting : :class:`~collections.deque` of [address, units left]
        STREAMs with weights that no matrix took.
    """

    def __init__(self, config, memory, seen=None):
        self.config, self.memory = config, memory
        self.seen = {} if seen is None else seen
        self.waiting = deque()

    def copy(self):
        """Another that goes on from here by itself."""
        other = copy(self)
        other.waiting = deque([*each] for each in self.waiting)
        return other

    def follow(self, insn):
        """Take the next instruction, of whatever unit. Raises :exc:`~sw_ref.legal.Broken`."""
        kind = type(insn)
        if kind is Stream:
            self.waiting.append([insn.addr, insn.size])
            need(
                len(self.waiting) <= STREAMS_AHEAD,
                "stream",
                f"at most {STREAMS_AHEAD} STREAMs ahead of their matrices",
                len(self.waiting),
            )
        elif kind is MatMul or kind is Embed:
            self._take(insn)

    def finish(self):
        """Check what a run leaves behind."""
        if self.waiting:
            raise Broken(
                "stream",
                "all weights taken before HALT",
                f"{self.waiting[0][1]} units that no matrix took",
            )

    def _take(self, insn):
        need(self.waiting, "stream", "weights that a STREAM before this fetches", "none")
        front = self.waiting[0]
        addr, left = front
        size = self.units(insn, addr, left)
        need(
            size <= left,
            "stream",
            f"a matrix of {size} units in one STREAM",
            f"the {left} units that are left of it",
        )
        front[:] = addr + size, left - size
        if left == size:
            self.waiting.popleft()

    def units(self, insn, addr, left):
        """Units that a MatMul or Embed takes of a stream, of which `left` units are left at
        `addr`.
        """
        if type(insn) is Embed:
            return _block_units(insn.format, UNIT_WORDS, insn.groups, self.config.word_bytes)
        key = addr, left, insn.rows, insn.groups
        if key not in self.seen:
            self.seen[key] = self._matrix(insn, self._bytes(addr, left))
        return self.seen[key]

    def _bytes(self, addr, units):
        return self.memory[addr * UNIT_BYTES : (addr + units) * UNIT_BYTES]

    def front(self):
        """The :class:`~rtl.spec.descriptor.Descriptor` of the matrix that is next. Raises
        :exc:`ValueError` if there is none."""
        return Descriptor.unpack(self._bytes(self.waiting[0][0], 1))

    def _matrix(self, insn, stream):
        """Units of the matrix in front of the bytes of a stream."""
        config, raw, shape = self.config, stream[:UNIT_BYTES], (insn.rows, insn.groups)
        wrong = contradictions(raw, *shape, config.weight_formats)
        need(
            not wrong & ~Contradiction.FORMAT,
            "descriptor",
            f"a descriptor of {insn.rows} rows and {insn.groups} groups",
            f"one that contradicts: {wrong.name}",
        )
        need(
            not wrong,
            "format",
            f"one of {', '.join(config.formats)}",
            f"the number {fields_of(raw)[0]['format']}",
        )
        its = Descriptor.unpack(raw)
        if its.format in SPARSE:
            return _sparse_units(its.format, *shape, config, stream)
        return _dense_units(its.format, *shape, config.word_bytes)
