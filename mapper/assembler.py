"""Assembler: instructions with loops whose lengths are known only at their end."""

import struct
from contextlib import contextmanager

import numpy as np

from rtl.spec.config import UNIT_BYTES
from rtl.spec.isa import INSTRUCTION_BYTES, Loop, Vector


__all__ = ["Assembler", "Area", "Body", "Line", "float_bits"]


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

    def with_next(self, other):
        """This area and the one that begins where it ends."""
        return Area(self.start, self.size + other.size, self.reg)


class Line:
    """An instruction of a program, the name of the node that it is for, and a SYNC's reason."""

    def __init__(self, insn, node, why=""):
        self.insn, self.node, self.why = insn, node, why


class Body:
    """A loop of a program: its lines and loops, and the :class:`~rtl.spec.isa.Loop` but for its
    length."""

    def __init__(self, node, **fields):
        self.node, self.fields, self.items = node, fields, []


class Assembler:
    """Collects a program: a tree of :class:`Line` and :class:`Body`.

    Parameters
    ----------
    lanes : :class:`int`
        Words of a vector memory line.

    Attributes
    ----------
    node : :class:`str`
        Name of the node that instructions are emitted for.
    items : list
        The program's lines and loops.
    """

    def __init__(self, lanes):
        self.lanes, self.node, self.items = lanes, "program", []
        self._open = self.items

    def emit(self, *insns):
        self._open += (Line(insn, self.node) for insn in insns)

    @contextmanager
    def loop(self, count=0, source=0):
        """Repeat what is emitted inside, `count` + source times."""
        body = Body(self.node, count=count, source=source)
        outside = self._open
        outside.append(body)
        self._open = body.items
        yield
        self._open = outside

    def lines(self):
        """All :class:`Line` in order, loops among them with their lengths."""
        return list(_flat(self.items))

    @property
    def insns(self):
        """All instructions in order."""
        return [line.insn for line in self.lines()]

    def vector(self, func, d, a, b=None, c=None, *, inner, outer=1, strides=None):
        """One Vector instruction. Operands are areas, filled lines (`("fill", area)`) or numbers.

        `strides` maps operand letters to words per repetition, which mean nothing where there is
        one: that may be longer than any stride.
        """
        fields = {"func": func, "inner": inner, "outer": outer}
        strides = strides if strides is not None and outer > 1 else {}
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
            fields[f"{name}_stride"] = strides.get(name, 0)
        self.emit(Vector(**fields))

    def steps(self, steps, areas, *, inner, outer=1, strides=None):
        """Emit a sequence of :mod:`sw_ref.sequences` over named areas of one shape."""
        for func, result, *operands in steps:
            self.vector(
                func,
                areas[result],
                *(areas[o] if isinstance(o, str) else o for o in operands),
                inner=inner,
                outer=outer,
                strides={
                    letter: (strides or {}).get(name, 0)
                    for letter, name in zip("dabc", (result, *operands))
                },
            )

    @property
    def units(self):
        """Units of DRAM that the program takes."""
        return -(-INSTRUCTION_BYTES * len(self.lines()) // UNIT_BYTES)

    def words(self):
        """The program's bytes: 32 per instruction, in whole units."""
        data = b"".join(insn.encode().to_bytes(INSTRUCTION_BYTES, "little") for insn in self.insns)
        return np.frombuffer(data + bytes(-len(data) % UNIT_BYTES), np.uint8)

    def nodes(self):
        """What the instructions are for, as :attr:`host.image.image.Image.nodes` has it."""
        ranges = []
        for n, line in enumerate(self.lines()):
            if ranges and ranges[-1][0] == line.node:
                ranges.pop()
            ranges.append((line.node, n + 1))
        return ranges

    def __str__(self):
        lines = self.lines()
        ends = []
        text = []
        for n, line in enumerate(lines):
            ends = [end for end in ends if n <= end]
            comment = f"{line.node}: {line.why}" if line.why else line.node
            text.append(f"{n:4}  {'  ' * len(ends)}{line.insn}  # {comment}")
            if isinstance(line.insn, Loop):
                ends.append(n + line.insn.length)
        return "\n".join(text)


def _flat(items):
    for item in items:
        if isinstance(item, Line):
            yield item
        else:
            inside = list(_flat(item.items))
            yield Line(Loop(length=len(inside), **item.fields), item.node)
            yield from inside
