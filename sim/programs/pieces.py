"""Pieces of random programs: what one unit does, with what it needs of others.

Each function takes a :class:`~.generator.Growing` and returns instructions, registers added, of
which it is not yet known whether they are legal where they go; or None.
"""

from dataclasses import replace

from rtl.spec.config import GROUP
from rtl.spec.formats import stream_units
from rtl.spec.isa import (
    Dest,
    Embed,
    Func,
    Load,
    MatMul,
    Quant,
    Stream,
    Sync,
    Unit,
    Vector,
)
from rtl.spec.limits import CENTRE, COLUMN, REPETITIONS, ROWS
from rtl.spec.numbers import UNIT_WORDS

from ..harness.patterns import EDGES, pattern


__all__ = [
    "largest",
    "calmed",
    "embed_units",
    "load",
    "vector",
    "product",
    "embed",
    "token",
]


def largest(cls, field, step=1):
    """The largest multiple of `step` that a field holds."""
    return ((1 << cls.layout[field].width) - 1) // step * step


def embed_units(config, fmt, groups):
    """Units of DRAM that an EMBED of so many groups takes of its stream."""
    return stream_units(fmt, UNIT_WORDS, groups, config.word_bytes)


def load(made):
    random, world = made.random, made.world
    size = made.edge(1, made.config.vector_words // 16) if made.rarely(20) else random.randint(1, 6)
    (first, end), units = world.cache, world.end
    # Before what may be written, or behind.
    if random.random() < 0.3:
        first, end, size = end, units, min(size, units - end)
        addr = made.edge(first, units - size)
    else:
        addr = made.edge(0, first - size)
        if random.random() < 0.7:
            addr = random.randint(0, world.numbers - size)
    return [Load(addr=addr, size=size, dst=made.place(16 * size, 16))]


def number(random):
    """Bits of a constant."""
    return random.choice(
        [
            random.choice(EDGES),
            pattern(random, range(120, 135)),
            random.getrandbits(32),
            0x4B400000 + random.randint(-140, 140),
            random.choice((0, (1 << 32) - 1)),
        ]
    )


def vector(made):
    random, lanes, words = made.random, made.config.lanes, made.config.vector_words
    outer, inner = random.choice([1, 1, 2, 3, 5]), lanes * random.choice([1, 2, 3, 8, 16])
    if made.rarely(40):
        outer = made.edge(1, REPETITIONS)
    if made.rarely(40):
        outer, inner = 1, min(largest(Vector, "inner", lanes), words)
    fields = {"func": random.choice(list(Func)), "outer": outer, "inner": inner}
    most = min(
        largest(Vector, "d_stride", lanes), (words - inner) // max(outer - 1, 1) // lanes * lanes
    )
    strides = [n for n in (0, inner, inner + lanes, 2 * inner, most, most) if n <= most]
    for x in "dabc":
        stride = random.choice(strides)
        fields[f"{x}_stride"] = stride
        fields[x] = made.place((outer - 1) * stride + inner, lanes)
    for x in "abc":
        kind = random.random()
        if kind < 0.15:
            fields[f"{x}_fill"] = 1
        elif kind < 0.4 or inner > words // 2:  # in place
            fields[x] = fields["d"]
            fields[f"{x}_stride"] = fields["d_stride"]
    for x in "bc":
        if random.random() < 0.3:
            fields |= {f"{x}_const": 1, f"{x}_value": number(random)}
            if random.random() < 0.5:  # what is not read does not matter
                fields |= {
                    name: random.getrandbits(Vector.layout[name].width)
                    for name in (x, f"{x}_stride")
                }
    return [Vector(**fields)]


def calmed(made, quant, odds=0.6):
    """QUANT, often of numbers that are loaded for it, and that are not what other pieces have made
    of them.
    """
    first, end = made.world.calm
    dst = quant.a // 16 * 16
    size = -(-(quant.a + (quant.outer - 1) * quant.stride + quant.inner - dst) // 16)
    if size > end - first or made.random.random() > odds:
        return [quant]
    return [
        Load(addr=made.random.randint(first, end - size), size=size, dst=dst),
        *made.sync(Unit.LOAD, Unit.VECTOR),
        quant,
    ]


def quantized(made, column, groups, act):
    """QUANT of activations of a column."""
    random, lanes = made.random, made.config.lanes
    outer = random.choice([n for n in (1, 2, 3, groups) if groups % n == 0 and n <= REPETITIONS])
    inner = groups // outer * GROUP
    most = min(
        largest(Quant, "stride", lanes),
        (made.config.vector_words - inner) // max(outer - 1, 1) // lanes * lanes,
    )
    stride = random.choice(
        [min(most, inner + lanes * random.randint(0, 4)), made.edge(0, most, lanes)]
    )
    return Quant(
        dest=Dest.ACT,
        outer=outer,
        inner=inner,
        stride=stride,
        column=column,
        a=made.place((outer - 1) * stride + inner, lanes),
        act=act,
    )


def chosen(made):
    """One or more matrices of as many groups."""
    random, world = made.random, made.world
    if made.rarely(40):
        return [random.choice([world.deep, world.deep, world.tall])]
    groups = random.choice(world.matrices).groups
    first, *_ = some = random.choices(
        [m for m in world.matrices if m.groups == groups], k=random.choice([1, 1, 2, 3])
    )
    behind = [
        m for m in world.matrices if m.groups == groups and m.addr == first.addr + first.units
    ]
    return [first, *behind] if random.random() < 0.3 else some


def streamed(matrices):
    """STREAMs of matrices: one for those that lie one behind the other."""
    streams = []
    for m in matrices:
        last = streams[-1] if streams else None
        if last and last.addr + last.size == m.addr:
            streams[-1] = replace(last, size=last.size + m.units)
        else:
            streams.append(Stream(addr=m.addr, size=m.units))
    return streams


def activated(made, groups):
    """The last column, the first group, and instructions that write activations up to there."""
    last, act = (
        made.random.randrange(len(made.tokens)),
        made.edge(0, made.config.act_groups - groups),
    )
    insns = [
        insn
        for column in range(last + 1)
        for insn in calmed(made, quantized(made, column, groups, act))
    ]
    return last, act, [*insns, *made.sync(Unit.VECTOR, Unit.LINEAR)]


def product(made):
    """Matrices, and the activations that they need: all to the vector memory, all to the search, or
    any.
    """
    random, matrices = made.random, chosen(made)
    last, act, insns = activated(made, matrices[0].groups)
    insns += streamed(matrices)
    odds = random.choice([0, 0.3, 0.3, 1])
    return insns + [multiplied(made, m, act, last, odds) for m in matrices]


def multiplied(made, matrix, act, last, odds):
    """MATMUL of a matrix, with activations up to the column `last`; `odds` are those of the
    search.
    """
    random, words = made.random, made.config.vector_words
    best = random.random() < odds
    column = random.randint(0, last) if best else last
    most = COLUMN if best or not column else min(COLUMN, (words - matrix.rows) // column)
    least = matrix.rows if column and not best else 0
    if most < least:
        best, most, least = True, COLUMN, 0
    stride = random.choice([made.edge(least, most), min(most, least + random.randint(0, 40))])
    dst = made.edge(0, words - 1) if best else made.place(column * stride + matrix.rows, 1)
    return MatMul(
        rows=matrix.rows,
        groups=matrix.groups,
        act=act,
        best=best,
        column=column,
        stride=stride,
        dst=dst,
    )


def embed(made):
    random, config = made.random, made.config
    *tables, deepest = made.world.tables
    table = deepest if made.rarely() else random.choice(tables)
    place, most = random.randrange(UNIT_WORDS), ROWS // UNIT_WORDS
    # Only the place among the 16 counts, which come from wherever the stream does.
    row = place + UNIT_WORDS * random.choice([0, 1, 2, 3, most, random.randint(0, most)])
    units = embed_units(config, table.format, table.groups)
    addr = table.addr + units * random.randrange(table.rows // UNIT_WORDS)
    if random.random() < 0.2:  # any bytes are weights
        addr = random.choice([0, made.world.end - units])
        if addr and addr < made.world.cache[1]:
            return None
    return [
        Stream(addr=addr, size=units),
        Embed(
            format=table.format,
            row=row,
            groups=table.groups,
            centre=random.randint(0, CENTRE),
            dst=made.place(GROUP * table.groups, 1),
        ),
    ]


def token(made):
    """A token that nothing needs; or a SYNC that does nothing."""
    if made.random.random() < 0.2:
        return [Sync(unit=made.random.choice([unit for unit in Unit if unit != Unit.STREAM]))]
    return made.sync(*made.random.choice(list(made.counters)))
