"""The values that each field of each instruction may have in a random program, and why no others.

A field without an entry here may have all values of its width.
"""

from dataclasses import fields, replace

from rtl.spec.config import GROUP
from rtl.spec.isa import (
    Append,
    Attend,
    Dest,
    Embed,
    Insn,
    Load,
    Loop,
    MatMul,
    Op,
    Quant,
    Source,
    Stream,
    Sync,
    Token,
    Unit,
    Vector,
)
from rtl.spec.limits import COLUMN, GROUPS, HEADS, POSITIONS
from sw_ref.checks import operands

from .caches import most_heads
from .pieces import embed_units, largest


__all__ = ["FEW", "LIMITED", "counted", "field_bins", "bin_of"]


# Of an enumeration, or a field of so many bits, each value is a bin; of others, the ends and all
# between.
FEW = 4

SOURCES = range(8 + len(Source))
COUNT = "counts are at least one"
WORDS = "the vector memory"
DRAM = "the world's DRAM: as the field has it, it would be 256 GiB"


def _words(config, world, length, step=1):
    return range(0, config.vector_words - length + 1, step)


def _stride(cls, field, config, length):
    """Strides, with an effect, of what has so many words."""
    return range(
        0, min(largest(cls, field, config.lanes), config.vector_words - length) + 1, config.lanes
    )


def _cache(config, world):
    return world.cache[1] - world.cache[0] - config.kv_block_units


def _shortest(config):
    """Units of the shortest rows that an EMBED takes."""
    return min(embed_units(config, fmt, 1) for fmt in config.embed_formats)


def _longest(config):
    """Words of the longest QUANT: of heads, or of activations."""
    groups = min(GROUPS, config.act_groups)
    return max(largest(Quant, "inner", config.head_dim), groups * GROUP)


# (instruction, field): (the values, of a configuration and a world; why no others).
LIMITED = {
    (Loop, "length"): (
        lambda c, w: range(1, c.program_words - 1),
        "the body and HALT fit in the program memory",
    ),
    (Loop, "source"): (lambda c, w: SOURCES, "rule `source`"),
    (Op.SCALAR, "source"): (lambda c, w: SOURCES, "rule `source`"),
    (Op.SCALAR, "plus"): (lambda c, w: SOURCES, "rule `source`"),
    (Token, "source"): (
        lambda c, w: [n for n in SOURCES if n != Source.COLUMNS.value],
        "rule `source`; the number of columns is no column",
    ),
    (Sync, "unit"): (
        lambda c, w: [unit.value for unit in Unit if unit != Unit.STREAM],
        "rule `tokens`",
    ),
    (Load, "addr"): (lambda c, w: range(w.end), DRAM),
    (Load, "size"): (lambda c, w: range(1, c.vector_words // 16 + 1), f"{COUNT}; {WORDS}"),
    (Load, "dst"): (lambda c, w: _words(c, w, 16, 16), WORDS),
    (Stream, "addr"): (
        lambda c, w: range(w.end - _shortest(c) + 1),
        DRAM,
    ),
    (Stream, "size"): (
        lambda c, w: range(min(_shortest(c), *(m.units for m in w.matrices)), w.longest + 1),
        "the world's smallest and largest matrix, or rows of an embedding",
    ),
    (MatMul, "rows"): (
        lambda c, w: range(1, w.tall.rows + 1),
        f"{COUNT}; the world's largest matrix: what a million rows take is for "
        "tests/test_limits_rtl.py",
    ),
    (MatMul, "groups"): (
        lambda c, w: range(1, min(GROUPS, c.act_groups) + 1),
        f"{COUNT}; the activation buffer",
    ),
    (MatMul, "act"): (lambda c, w: range(c.act_groups), "the activation buffer"),
    (MatMul, "dst"): (lambda c, w: _words(c, w, 1), WORDS),
    (MatMul, "stride"): (
        lambda c, w: (
            range(1, min(COLUMN + 1, c.vector_words)) if c.columns > 1 else range(COLUMN + 1)
        ),
        f"{WORDS}; rule `overlap`",
    ),
    (MatMul, "column"): (lambda c, w: range(c.columns), "rule `column`"),
    (Embed, "format"): (
        lambda c, w: [f.value for f in c.embed_formats],
        "rule `format`",
    ),
    (Embed, "groups"): (lambda c, w: range(1, w.tables[-1].groups + 1), f"{COUNT}; {WORDS}"),
    (Embed, "dst"): (lambda c, w: _words(c, w, GROUP), WORDS),
    (Vector, "outer"): (lambda c, w: range(1, 256), COUNT),
    (Vector, "inner"): (
        lambda c, w: range(c.lanes, min(largest(Vector, "inner"), c.vector_words) + 1, c.lanes),
        f"{COUNT}; {WORDS}; rule `align`",
    ),
    **{
        (Vector, x): (lambda c, w: _words(c, w, c.lanes, c.lanes), f"{WORDS}; rule `align`")
        for x in "abcd"
    },
    **{
        (Vector, f"{x}_stride"): (
            lambda c, w, x=x: _stride(Vector, f"{x}_stride", c, c.lanes),
            "rule `align`",
        )
        for x in "abcd"
    },
    (Quant, "outer"): (lambda c, w: range(1, 256), COUNT),
    (Quant, "inner"): (
        lambda c, w: range(GROUP, min(_longest(c), c.vector_words) + 1, GROUP),
        f"{COUNT}; {WORDS}; rule `align`",
    ),
    (Quant, "a"): (lambda c, w: _words(c, w, GROUP, c.lanes), f"{WORDS}; rule `align`"),
    (Quant, "stride"): (lambda c, w: _stride(Quant, "stride", c, GROUP), f"{WORDS}; rule `align`"),
    (Quant, "act"): (lambda c, w: range(c.act_groups), "the activation buffer"),
    (Quant, "column"): (lambda c, w: range(c.columns), "rule `column`"),
    (Append, "heads"): (lambda c, w: range(1, HEADS + 1), COUNT),
    (Append, "addr"): (
        lambda c, w: range(w.cache[0], w.cache[1] - c.kv_block_units + 1),
        "rule `area`",
    ),
    (Append, "stride"): (lambda c, w: range(_cache(c, w) + 1), "the world's KV cache"),
    (Attend, "heads"): (
        lambda c, w: range(1, most_heads(c) + 1),
        f"{COUNT}; {WORDS} has room for numerators, denominators and what QUANT reads",
    ),
    (Attend, "queries"): (
        lambda c, w: range(1, min(c.queries, 15) + 1),
        f"{COUNT}; the configuration's `queries`",
    ),
    (Attend, "addr"): (lambda c, w: range(w.end - c.kv_block_units + 1), DRAM),
    (Attend, "stride"): (lambda c, w: range(w.end - c.kv_block_units + 1), "the world's DRAM"),
    (Attend, "length"): (lambda c, w: range(1, POSITIONS + 1), f"{COUNT}; rule `positions`"),
    (Attend, "newest"): (lambda c, w: range(w.end - c.kv_block_units + 1), DRAM),
    (Attend, "cap"): (
        lambda c, w: range(2 if c.score_cap else 1),
        "the configuration's `score_cap`",
    ),
    (Attend, "dst"): (lambda c, w: _words(c, w, c.head_dim, c.lanes), f"{WORDS}; rule `align`"),
    (Attend, "sums"): (lambda c, w: _words(c, w, c.lanes, c.lanes), f"{WORDS}; rule `align`"),
}
LIMITED = {(getattr(kind, "op", kind), field): entry for (kind, field), entry in LIMITED.items()}


def _shape(op, field):
    """Width, or enumeration, of a field."""
    return next(f.metadata["shape"] for f in fields(Insn.by_op[op]) if f.name == field)


def _few(op, field):
    """Whether each value of a field is a bin of its own."""
    shape = _shape(op, field)
    return not isinstance(shape, int) or shape <= FEW


def values(op, field, config, world=None):
    """All values that a field may have; without a world, only of one of few bits."""
    if (op, field) in LIMITED:
        return LIMITED[op, field][0](config, world)
    shape = _shape(op, field)
    return range(1 << shape) if isinstance(shape, int) else [member.value for member in shape]


def field_bins(config):
    """Yield (opcode, field, bin) of all that programs for a configuration can reach."""
    for op, cls in Insn.by_op.items():
        for each in fields(cls):
            if "adds_to" in each.metadata:
                continue
            for part in (
                values(op, each.name, config)
                if _few(op, each.name)
                else ("least", "between", "most")
            ):
                yield op.name, each.name, part


def bin_of(op, field, value, config, world):
    """Bin of a value. Raises :exc:`ValueError` if it is none that this table allows."""
    able = values(op, field, config, world)
    if value not in able:
        raise ValueError(
            f"{op.name}.{field} is {value}, which sim/programs/ranges.py rules out: {able}"
        )
    if _few(op, field):
        return value
    return {able[0]: "least", able[-1]: "most"}.get(value, "between")


def counted(insn, config):
    """Fields of an instruction, registers added, whose values have an effect: name to value."""
    out = {
        f.name: int(getattr(getattr(insn, f.name), "value", getattr(insn, f.name)))
        for f in fields(insn)
        if "adds_to" not in f.metadata
    }
    none = []
    match insn:
        case Vector():
            read, taken = operands(insn), operands(replace(insn, b_const=0, c_const=0))
            none = [
                name for x in "abc" if x not in read for name in (x, f"{x}_stride", f"{x}_fill")
            ]
            none += [f"{x}_const" for x in "bc" if x not in taken]
            none += [f"{x}_value" for x in "bc" if x in read or x not in taken]
            if insn.outer == 1:
                none += [f"{x}_stride" for x in "abcd"]
        case Quant():
            none = (["stride"] if insn.outer == 1 else []) + (
                ["act", "column"] if insn.dest != Dest.ACT else []
            )
        case MatMul():
            none = ["dst", "stride"] if insn.best else []
            if not insn.column and config.columns > 1:
                none.append("stride")
        case Append():
            none = ["stride"] if insn.heads == 1 else []
        case Attend() if not insn.window:
            none = ["newest"] + ["stride"] * (insn.heads == 1)
    return {name: value for name, value in out.items() if name not in none}
