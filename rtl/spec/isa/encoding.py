"""How an instruction is declared, encoded, decoded and documented: by its fields."""

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, ClassVar

from amaranth.hdl import Shape
from amaranth.lib import data

from .enums import Op


__all__ = [
    "WORD_BITS",
    "INSTRUCTION_BYTES",
    "REGISTERS",
    "Insn",
    "bits",
    "one_of",
    "reg",
    "decode",
    "markdown",
]


WORD_BITS = 256
INSTRUCTION_BYTES = WORD_BITS // 8
REGISTERS = 8


def bits(width, doc):
    """Declare an unsigned instruction field of `width` bits."""
    return field(default=0, metadata={"width": width, "doc": doc, "shape": width})


def one_of(shape, doc, default):
    """Declare an instruction field with the values, and the width, of an enumeration."""
    return field(
        default=default, metadata={"width": Shape.cast(shape).width, "doc": doc, "shape": shape}
    )


def reg(doc="", target=None):
    """Declare a register number whose value is added to the field `target` at dispatch."""
    return field(
        default=0,
        metadata={
            "width": 3,
            "doc": doc or f"Register added to `{target}`.",
            "shape": 3,
            "adds_to": target,
        },
    )


@dataclass(frozen=True, kw_only=True)
class Insn:
    """One instruction; a subclass declares its fields from the least significant bit up.

    Attributes
    ----------
    op : :class:`Op`
        Opcode, held in bits 7:0 of the word.
    layout : :class:`~amaranth.lib.data.StructLayout`
        Shape of the word as the hardware decoder views it.
    relative : :class:`dict`
        Fields that get a register's value added at dispatch: field name to register field name.
        The sum wraps at the field's width.
    """

    op: ClassVar[Op]
    layout: ClassVar[data.StructLayout]
    relative: ClassVar[dict]
    by_op: ClassVar[dict] = {}

    if TYPE_CHECKING:
        # Type checkers cannot see that `bits` and `reg` give every field a default.
        def __init__(self, **fields: Any): ...

    def __init_subclass__(cls, *, op):
        dataclass(frozen=True, kw_only=True)(cls)
        cls.op = op
        cls.layout = data.StructLayout(
            {"op": Op, **{f.name: f.metadata["shape"] for f in fields(cls)}}
        )
        cls.relative = {
            f.metadata["adds_to"]: f.name for f in fields(cls) if "adds_to" in f.metadata
        }
        if cls.layout.size > WORD_BITS:
            raise TypeError(f"{cls.__name__} must fit in {WORD_BITS} bits, not {cls.layout.size}")
        cls.by_op[op] = cls

    def __post_init__(self):
        for f in fields(self):
            value, width = getattr(self, f.name), f.metadata["width"]
            value = getattr(value, "value", value)
            if not isinstance(value, int) or value not in range(1 << width):
                raise ValueError(f"{self.op.name}.{f.name} must fit in {width} bits, not {value!r}")

    def encode(self):
        """Pack the instruction into an integer."""
        return self.layout.const({"op": self.op, **vars(self)}).as_value().value

    def __str__(self):
        shown = (
            f"{f.name}={getattr(self, f.name)!s}"
            for f in fields(self)
            if getattr(self, f.name) != f.default
        )
        return f"{self.op.name.lower()} {' '.join(shown)}".strip()


def decode(word):
    """Unpack an integer into the :class:`Insn` it encodes.

    Raises :exc:`ValueError` when the opcode, or an enumerated field, has no such value.
    """
    cls = Insn.by_op[Op(word & 0xFF)]
    at = {f.name: (cls.layout[f.name].offset, f.metadata) for f in fields(cls)}
    values = {
        name: word >> offset & (1 << meta["width"]) - 1 for name, (offset, meta) in at.items()
    }
    return cls(
        **{
            name: value if isinstance(at[name][1]["shape"], int) else at[name][1]["shape"](value)
            for name, value in values.items()
        }
    )


def markdown():
    """Yield the lines of `docs/isa.md`."""
    for op, cls in Insn.by_op.items():
        yield f"## {op.name} ({op.value:#04x})"
        yield ""
        yield from (line.removeprefix("    ") for line in cls.__doc__.strip().splitlines())
        yield ""
        yield "| Bits | Field | Meaning |"
        yield "|--|--|--|"
        yield f"| 7:0 | `op` | {op.value:#04x} |"
        for f in fields(cls):
            at = cls.layout[f.name]
            yield f"| {at.offset + at.width - 1}:{at.offset} | `{f.name}` | {f.metadata['doc']} |"
        yield ""
