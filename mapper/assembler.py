"""Assembler: instructions with loops whose lengths are known only at their end."""

import struct
from contextlib import contextmanager
from dataclasses import replace

import numpy as np

from rtl.spec.config import UNIT_BYTES
from rtl.spec.isa import WORD_BITS, Insn, Loop, Sync, Vector


__all__ = ["Assembler", "Area", "float_bits"]


INSTRUCTION_BYTES = WORD_BITS // 8


def float_bits(value):
    """The bits of a number as fp32."""
    return struct.unpack("<I", struct.pack("<f", value))[0]


class Area:
    """A place in the vector memory: an address, and the register that is added to it."""
    def __init__(self, start, size, reg=0):
        self.start, self.size, self.reg = start, size, reg

    def __getitem__(self, part):
        """Sub-area of words `part.start` to `part.stop`."""
        start, stop, _ = part.indices(self.size)
        return Area(self.start + start, stop - start, self.reg)


class Assembler:
    """Collects the instructions of a program.

    Parameters
    ----------
    lanes : :class:`int`
        Words of a vector memory line.
    """
    def __init__(self, lanes):
        self.lanes = lanes
        self.insns: list[Insn] = []

    def emit(self, *insns):
        self.insns += insns

    @contextmanager
    def loop(self, count=0, source=0):
        """Repeat what is emitted inside, `count` + source times."""
        at = len(self.insns)
        self.insns.append(Loop(length=1, count=count, source=source))
        yield
        self.insns[at] = replace(self.insns[at], length=len(self.insns) - at - 1)

    def hand(self, giver, taker, token):
        """Let `taker` go on when `giver` has done all that was emitted for it so far."""
        self.emit(Sync(unit=giver, give=token), Sync(unit=taker, take=token))

    def vector(self, func, d, a, b=None, c=None, *, inner, outer=1, strides=None):
        """One Vector instruction. Operands are areas, filled lines (`("fill", area)`) or numbers.

        `strides` maps operand letters to words per repetition.
        """
        fields = {"func": func, "inner": inner, "outer": outer}
        for name, operand in zip("dabc", (d, a, b, c)):
            if operand is None:
                if name in "bc":
                    fields[f"{name}_const"] = 1
                continue
            if isinstance(operand, (int, float)):
                fields[f"{name}_const"], fields[f"{name}_value"] = 1, float_bits(operand)
                continue
            if isinstance(operand, tuple):
                fields[f"{name}_fill"], operand = 1, operand[1]
            fields[name], fields[f"{name}_reg"] = operand.start, operand.reg
            fields[f"{name}_stride"] = (strides or {}).get(name, 0)
        self.emit(Vector(**fields))

    def steps(self, steps, areas, *, inner, outer=1, strides=None):
        """Emit a sequence of :mod:`sw_ref.sequences` over named areas of one shape."""
        for func, result, *operands in steps:
            self.vector(func, areas[result],
                        *(areas[o] if isinstance(o, str) else o for o in operands),
                        inner=inner, outer=outer,
                        strides={letter: (strides or {}).get(name, 0)
                                 for letter, name in zip("dabc", (result, *operands))})

    @property
    def units(self):
        """Units of DRAM that the program takes."""
        return -(-INSTRUCTION_BYTES * len(self.insns) // UNIT_BYTES)

    def words(self):
        """The program's bytes: 32 per instruction, in whole units."""
        data = b"".join(insn.encode().to_bytes(INSTRUCTION_BYTES, "little") for insn in self.insns)
        return np.frombuffer(data + bytes(-len(data) % UNIT_BYTES), np.uint8)
