"""Programs that were made by hand to hang the accelerator, or to have it write where it may not."""

from random import Random

import pytest

from rtl.spec.config import get
from rtl.spec.isa import (
    Append,
    Attend,
    Dest,
    Embed,
    Halt,
    Load,
    Loop,
    MatMul,
    Quant,
    Scalar,
    Stream,
    Sync,
    Token,
    Unit,
    Vector,
)
from sim.programs.compare import Pair
from sim.programs.generator import generate
from sim.programs.illegal import Illegal, Mutant
from sim.programs.world import World


CONFIG = get("small")
BLOCK, LAST = CONFIG.kv_block_units, (1 << 32) - 1
WORLD = World(CONFIG, Random(5))
GOOD = generate(WORLD, Random(7))
FIRST, END = WORLD.cache
MATRIX, TABLE = WORLD.matrices[0], WORLD.tables[0]
# So that all that follows may read the vector memory.
FILL = [
    Load(addr=0, size=WORLD.numbers),
    *(
        insn
        for counter, unit in enumerate((Unit.LINEAR, Unit.VECTOR, Unit.ATTENTION), 13)
        for insn in (Sync(unit=Unit.LOAD, give=counter), Sync(unit=unit, take=counter))
    ),
]
STREAM = Stream(addr=MATRIX.addr, size=MATRIX.units)


def product(**fields):
    return MatMul(**{"rows": MATRIX.rows, "groups": MATRIX.groups, **fields})


def groups(dest, heads=1):
    return Quant(dest=dest, outer=1, inner=CONFIG.head_dim * heads, a=0)


def append(heads=1, **fields):
    return [groups(Dest.KV, heads), Append(heads=heads, **fields)]


def attend(heads=1, queries=1, quantized=1, **fields):
    return [groups(Dest.QUERY, quantized), Attend(heads=heads, queries=queries, **fields)]


# Rule that is broken: bodies of programs.
ATTACKS = {
    "size": [
        [Load(size=0)],
        [Load(size=0, addr=3), Load(size=1)],
        [Stream(addr=MATRIX.addr, size=0), product()],
        [STREAM, product(rows=0)],
        [STREAM, product(groups=0)],
        [STREAM, Embed(groups=0)],
        [Append(heads=0, addr=FIRST)],
        attend(length=0, addr=FIRST),
        attend(heads=0, length=5, addr=FIRST),
        attend(queries=0, quantized=2, length=5, addr=FIRST),
        attend(queries=15, quantized=15, length=5, addr=FIRST),
        [Vector(outer=0, inner=0)],
        [Vector(outer=1, inner=0, a=64)],
        [Vector(outer=0, inner=64, a=64)],
        [Vector(outer=255, inner=16380, b_const=1, c_const=1)],
        [Quant(outer=0, inner=32)],
        [Quant(outer=1, inner=0)],
    ],
    "area": [
        [Load(addr=FIRST, size=2)],
        append(addr=FIRST - 1),
        append(heads=4, addr=WORLD.program, stride=1),
        append(heads=4, addr=0, stride=7),
        append(addr=END - BLOCK + 1, value=1, position=31),
    ],
    "memory": [
        [Load(addr=LAST, size=3)],
        [Stream(addr=LAST - 2, size=9)],
        append(addr=LAST, value=1),
        append(heads=4, addr=LAST - 20, stride=FIRST + 30),
        attend(length=1000, addr=LAST - 100),
    ],
    "vector": [
        [Load(size=1023)],
        [Stream(addr=TABLE.addr, size=TABLE.units), Embed(groups=1023, dst=8100)],
    ],
    "stream": [
        [Stream(addr=0, size=FIRST - 20)],
        [STREAM] * 12,
        [product()],
        [STREAM],
    ],
    "descriptor": [
        [STREAM, product(rows=(1 << 18) - 1, best=1)],
        [STREAM, product(groups=2)],
        [Stream(addr=TABLE.addr, size=TABLE.units), product()],
        [Stream(addr=MATRIX.addr + 1, size=MATRIX.units - 1), product()],
    ],
    "groups": [
        [Append(heads=1, addr=FIRST)],
        [groups(Dest.KV, 8)],
        [groups(Dest.QUERY, 8)],
        [groups(Dest.KV, 3), Append(heads=1, addr=FIRST)],
        [groups(Dest.QUERY), Append(heads=1, addr=FIRST)],
    ],
    "positions": [attend(length=(1 << 17) - 1, addr=FIRST)],
    "ring": [
        attend(length=70, addr=FIRST, window=40, stride=BLOCK, newest=FIRST),
        attend(length=70, addr=FIRST, window=40, stride=4 * BLOCK, newest=LAST),
        attend(length=65000, addr=FIRST, window=64000, newest=3),
    ],
    "cap": [attend(length=40, addr=FIRST, cap=1)],
    "token": [
        [Sync(unit=Unit.LINEAR, take=3)],
        [*[Sync(unit=Unit.LOAD, give=3)] * 300, *[Sync(unit=Unit.VECTOR, take=3)] * 300],
    ],
    "tokens": [[Sync(unit=Unit.LOAD, take=3, give=3)], [Sync(unit=Unit.STREAM, take=3, give=3)]],
    "loop": [
        [Loop(length=0, count=9)],
        [Loop(length=4095, count=3)],
        [Loop(length=1, count=9)],
        [*(Loop(length=9 - n, count=2) for n in range(6)), *[Scalar()] * 12],
        [*(Loop(length=5 - n, count=3) for n in range(4)), Scalar(), Scalar()],
    ],
    "limit": [
        [
            Scalar(rd=1, offset=LAST),
            Loop(length=1, source=1),
            Scalar(rd=2, source=2, factor=1, offset=1),
            Scalar(),
        ]
    ],
    "align": [
        [Quant(outer=1, inner=33)],
        attend(heads=2, quantized=2, length=40, addr=FIRST, dst=8190),
        [Vector(outer=2, inner=63, d=1, d_stride=3, a=2, a_stride=1, b=3, c=1)],
        [Quant(dest=Dest.KV, outer=1, inner=32), Append(heads=1, addr=FIRST)],
    ],
    "column": [
        [Quant(outer=1, inner=32, column=15)],
        [STREAM, product(column=15, stride=4095)],
        [Scalar(rd=1, offset=77), Token(rd=2, source=1), Load(addr_reg=2, size=1)],
    ],
    "buffer": [[Quant(outer=1, inner=320, act=60)]],
}


@pytest.fixture(scope="module")
def illegal():
    with Pair(CONFIG) as pair, Illegal(pair) as made:
        yield made


@pytest.mark.seconds(3)
@pytest.mark.parametrize(
    "rule, n", [(rule, n) for rule, bodies in ATTACKS.items() for n in range(len(bodies))]
)
def test_refused_and_harmless(illegal, rule, n):
    """Refused by that rule; on the accelerator it ends or faults, and a good program runs after
    it.
    """
    words = [insn.encode() for insn in (*FILL, *ATTACKS[rule][n], Halt())]
    before = illegal.rules[rule]
    illegal.run(WORLD, GOOD, Mutant(tuple(words), "", [1], 5, True))
    assert illegal.rules[rule] == before + 1
