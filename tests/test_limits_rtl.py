"""The accelerator at its limits: bit by bit what the functional machine says it is.

`tests/test_limits.py` says which test is whose, and has what is one beyond.
"""

import numpy as np
import pytest

from rtl.spec.config import KV_BLOCK
from rtl.spec.descriptor import Descriptor, described, matrix_units
from rtl.spec.formats import pack, sum_bits
from rtl.spec.isa import (
    Append,
    Attend,
    Dest,
    Embed,
    Func,
    Halt,
    MatMul,
    Quant,
    Scalar,
    Source,
    Stream,
    Unit,
    Vector,
    WeightFormat,
)
from rtl.spec.limits import (
    ACC_BITS,
    CENTRE,
    COLUMN,
    GROUPS,
    HEADS,
    INNER,
    POSITIONS,
    QUERIES,
    REPETITIONS,
    ROWS,
)
from rtl.spec.numbers import UNIT_WORDS
from sw_ref.attention import EXP2
from sw_ref.machine import Machine
from sw_ref.numerics import WINDOW

from .extreme import (
    CONFIG,
    LOADED,
    ONE,
    SCRATCH,
    Data,
    compare,
    hand,
    image,
    loaded,
    pair,
    run,
    same,
)


LOAD, LINEAR, VECTOR, ATTENTION = Unit.LOAD, Unit.LINEAR, Unit.VECTOR, Unit.ATTENTION
ACTS, RESULT, ATTENDED = range(LOADED + 1, LOADED + 4)  # tokens
BLOCK, DIM, LANES = CONFIG.kv_block_units, CONFIG.head_dim, CONFIG.lanes
MIDDLE = 1 << 17  # of the vector memory
END = 1 << 18

pytestmark = pytest.mark.seconds(15)


@pytest.fixture(scope="module")
def devices():
    sim, model = pair()
    with sim:
        yield sim, model


@pytest.mark.parametrize("place", [None, 0, 37, 63])
def test_comparison_shows_a_single_bit(place):
    """What `same` leaves in DRAM is zeros only if no word differs in any bit."""
    data, words = Data(), np.random.default_rng(0).normal(size=DIM).astype("<f4")
    expected = words.copy()
    if place is not None:
        expected[place] = np.nextafter(words[place], np.float32(np.inf))
    insns, at = loaded(data, words, 0), data.put(expected)
    area = data.put(np.zeros(BLOCK * 64, np.uint8))
    program = image([*insns, *compare(0, DIM, at, DIM, area, 0), Halt()], data, (area, data.end))
    machine = Machine(CONFIG, program.dram(), writable=program.writable)
    machine.run(program.instructions, tokens=[1], position=0, head=False)
    assert machine.memory[area * 64 :][: BLOCK * 64].any() == (place is not None)


def caches(rng):
    """KV caches of two heads: one that drives sums to their bounds, and one at random."""
    heads = np.zeros((2, POSITIONS // KV_BLOCK, BLOCK, 64), np.uint8)
    exponents = np.zeros((*heads.shape[:2], 2, KV_BLOCK), np.uint8)
    lines = np.zeros((*exponents.shape, DIM), np.int8)
    # Negative keys next to nothing: the score is -1, and all its fraction bits are ones.
    exponents[0, :, 0], exponents[0, :, 1] = 1, 127
    lines[0, :, 0], lines[0, :, 1, :, ::2], lines[0, :, 1, :, 1::2] = -1, 127, -128
    exponents[1] = rng.integers(118, 132, exponents[1].shape)
    lines[1] = rng.integers(-128, 128, lines[1].shape)
    heads[:, :, 0] = exponents.reshape(*heads.shape[:2], 64)
    heads[:, :, 1:] = lines.view(np.uint8).reshape(*heads.shape[:2], -1, 64)
    return heads


def test_positions(devices):
    """The last step of the longest context: it appends position 65,535, and attends to 65,536."""
    rng, data, position, count = np.random.default_rng(1), Data(), POSITIONS - 1, 2 * QUERIES
    stride = BLOCK * (POSITIONS // KV_BLOCK)
    queries = np.ones((2, QUERIES, DIM))
    queries[1] = rng.normal(size=(QUERIES, DIM)) * 4
    keys, values = np.full((2, DIM), -(2.0**-40)), np.full((2, DIM), 127 / 64)
    values[:, 1::2] *= -1
    keys[1], values[1] = rng.normal(size=(2, DIM))
    words = np.concatenate([np.ravel(x) for x in (queries, keys, values)])
    insns = [*loaded(data, words, MIDDLE)]
    kv = MIDDLE + queries.size
    fill = np.zeros(-(-count * (DIM + LANES) // 64) * 64)
    insns += [*loaded(data, fill, 0), *hand(VECTOR, ATTENTION, ACTS)]
    cache = data.put(caches(rng))
    insns += [
        Scalar(rd=1, source=Source.POSITION.value, factor=1),
        Scalar(rd=2, source=Source.POSITION.value, shift=5, factor=BLOCK, offset=cache),
        Quant(dest=Dest.KV, outer=1, inner=4 * DIM, a=kv),
        *(Append(value=n, heads=2, addr_reg=2, stride=stride, position_reg=1) for n in range(2)),
        Quant(dest=Dest.QUERY, outer=1, inner=count * DIM, a=MIDDLE),
        Attend(
            heads=2,
            queries=QUERIES,
            addr=cache,
            stride=stride,
            length=1,
            length_reg=1,
            dst=0,
            sums=count * DIM,
        ),
        *hand(ATTENTION, VECTOR, ATTENDED),
    ]
    found = same(
        devices,
        insns,
        data,
        [(0, len(fill))],
        scratch=2 * MIDDLE - SCRATCH,
        writable=(cache, data.end),
        position=position,
    )
    # The first head's sums cannot be larger, but that -127 was appended rather than -128.
    most = int(EXP2.max())
    numerators = found[: QUERIES * DIM].reshape(QUERIES, DIM)
    assert (found[count * DIM :][: QUERIES * LANES] == np.float32(most * POSITIONS)).all()
    assert (numerators[:, 0] == np.float32(127 * most * POSITIONS) / 64).all()
    assert (numerators[:, 1] == np.float32(-most * (128 * position + 127)) / 64).all()


def test_rows(devices):
    """The largest vocabulary: its last token has the best logit."""
    rng, data, fmt, block = np.random.default_rng(2), Data(), WeightFormat.U4, CONFIG.block_rows
    insns = [
        *loaded(data, rng.uniform(1, 2, 32), 0),
        Quant(dest=Dest.ACT, outer=1, inner=32, a=0),
        *hand(VECTOR, LINEAR, ACTS),
    ]
    one = pack(
        fmt,
        np.full((block, 32), 15, np.uint8),
        np.full((block, 1), 255, np.uint8),
        np.zeros((block, 1), np.int8),
        np.ones(block, np.float32),
        CONFIG.beat_bytes,
    )
    blocks = np.tile(np.frombuffer(one, np.uint8)[: 6 * CONFIG.beat_bytes], (-(-ROWS // block), 1))
    scales = rng.uniform(-1, 1, ROWS + 1).astype("<f4")
    scales[ROWS - 1 :] = 8, 16  # the last row's, and one that no row has
    blocks[:, : CONFIG.beat_bytes] = scales.view(np.uint8).reshape(len(blocks), -1)
    at = data.put(np.frombuffer(Descriptor(fmt, 0, ROWS, 1).pack(), np.uint8))
    data.put(blocks)
    size = data.end - at
    assert size == matrix_units(fmt, ROWS, 1, CONFIG.beat_bytes)
    run(
        devices,
        [
            *insns,
            Stream(addr=at, size=size),
            MatMul(rows=ROWS, groups=1, best=1),
            Halt(),
        ],
        data,
        head=True,
    )
    assert devices[1].machine.best[0][0] == ROWS - 1


@pytest.mark.parametrize("row", [ROWS - 1, ROWS])
def test_embedding_row(devices, row):
    """The last token's row, and the last that the field can name."""
    rng, data, block = np.random.default_rng(3), Data(), UNIT_WORDS
    packed = pack(
        WeightFormat.S8,
        rng.integers(-128, 128, (block, GROUPS * 32)).astype(np.int8),
        rng.integers(0, 256, (block, GROUPS)).astype(np.uint8),
        np.zeros((block, GROUPS), np.int8),
        rng.normal(size=block).astype(np.float32),
        CONFIG.beat_bytes,
    )
    at = data.put(np.frombuffer(packed, np.uint8))
    insns = [
        Scalar(rd=1, offset=row - 1),
        Stream(addr=at, size=data.end - at),
        Embed(row=1, row_reg=1, groups=GROUPS, dst=64),
        *hand(LINEAR, VECTOR, RESULT),
    ]
    same(devices, insns, data, [(64, GROUPS * 32 // 64 * 64)], scratch=MIDDLE)


def product(data, rng, fmt, groups, rows, centre, dst, stride):
    """A MATMUL in two columns whose sums are as large as they can get, of either sign."""
    count, high = groups * 32, np.arange(rows)[:, None] % 2 > 0
    least, most, kind = (0, 15, np.uint8) if fmt == WeightFormat.U4 else (-128, 127, np.int8)
    packed = described(
        fmt,
        np.where(high, most, least).astype(kind).repeat(count, 1),
        np.full((rows, groups), 255, np.uint8),
        np.where(high, 127, -128).astype(np.int8).repeat(groups, 1),
        rng.normal(size=rows).astype(np.float32),
        centre,
        CONFIG.beat_bytes,
    )
    at = data.put(np.frombuffer(packed, np.uint8))
    size = data.end - at
    insns = []
    for column, value in enumerate((127 / 64, -127 / 64)):
        insns += [
            *loaded(data, np.full(count, value), MIDDLE),
            Quant(dest=Dest.ACT, outer=1, inner=count, a=MIDDLE, column=column),
            *hand(VECTOR, LOAD, ATTENDED),
        ]
    return [
        *insns,
        *hand(VECTOR, LINEAR, ACTS),
        Stream(addr=at, size=size),
        MatMul(rows=rows, groups=groups, dst=dst, stride=stride, column=1),
        *hand(LINEAR, VECTOR, RESULT),
    ]


@pytest.mark.parametrize("fmt, centre", [(WeightFormat.U4, CENTRE), (WeightFormat.S8, 0)])
def test_groups(devices, fmt, centre):
    """As many groups as there can be: their sums fill an accumulator."""
    assert sum_bits(fmt, GROUPS, centre, WINDOW) == ACC_BITS
    rng, data = np.random.default_rng(4), Data()
    insns = product(data, rng, fmt, GROUPS, 64, centre, 0, 64)
    same(devices, insns, data, [(0, 128)], scratch=END - SCRATCH, tokens=(1, 2))


@pytest.mark.parametrize("rows, dst, stride", [(1, 0, COLUMN), (68, 61, COLUMN - 300)])
def test_column(devices, rows, dst, stride):
    """Columns as far apart as they can be: single words, and rows across lines."""
    rng, data = np.random.default_rng(5), Data()
    second = (dst + stride) // 64 * 64
    insns = [
        *loaded(data, rng.normal(size=128), 0),
        *loaded(data, rng.normal(size=min(192, END - second)), second),
        *product(data, rng, WeightFormat.U4, 3, rows, 0, dst, stride),
    ]
    shown = [(0, 128), (second, min(192, END - second))]
    same(devices, insns, data, shown, scratch=MIDDLE, tokens=(1, 2))


def test_heads(devices):
    """Keys and values of 255 heads, and 15 queries for each of them."""
    rng, data = np.random.default_rng(6), Data()
    count = HEADS * QUERIES
    results = count * (DIM + LANES)
    at = results // 16 * 16
    insns = [
        *loaded(data, rng.normal(size=16 + QUERIES * DIM), at),
        *loaded(data, rng.normal(size=HEADS * DIM), 0),
    ]
    cache = data.put(np.zeros(HEADS * BLOCK * 64, np.uint8))
    insns += [
        Quant(dest=Dest.KV, outer=1, inner=HEADS * DIM, a=0),
        Append(heads=HEADS, addr=cache, stride=BLOCK),
        Quant(dest=Dest.KV, outer=HEADS, inner=DIM, stride=DIM, a=0),
        Append(value=1, heads=HEADS, addr=cache, stride=BLOCK),
        Quant(dest=Dest.QUERY, outer=HEADS, inner=QUERIES * DIM, a=at + 16),
        Attend(
            heads=HEADS,
            queries=QUERIES,
            addr=cache,
            stride=BLOCK,
            length=1,
            dst=0,
            sums=count * DIM,
        ),
        *hand(ATTENTION, VECTOR, ATTENDED),
    ]
    same(
        devices,
        insns,
        data,
        [(0, -(-results // 64) * 64)],
        scratch=END - SCRATCH,
        writable=(cache, data.end),
    )


def test_repetitions_and_inner(devices):
    """As many repetitions, and as many words, as VECTOR and QUANT can take."""
    rng, data = np.random.default_rng(7), Data()
    inner = INNER // LANES * LANES
    insns = loaded(data, rng.normal(size=inner), 0)
    a, b = MIDDLE, MIDDLE + 64 * REPETITIONS
    insns += [
        Vector(outer=1, inner=inner, d=1 << 15, a=0, b=0, c_const=1, c_value=ONE),
        Vector(
            outer=REPETITIONS,
            inner=64,
            d=a,
            d_stride=64,
            a=0,
            a_stride=64,
            b=64,
            b_stride=64,
            c=0,
            c_fill=1,
        ),
        Vector(
            func=Func.DOT,
            outer=REPETITIONS,
            inner=64,
            d=b,
            d_stride=LANES,
            a=0,
            a_stride=60,
            b=1 << 15,
            b_stride=64,
        ),
        Vector(func=Func.DOT, outer=1, inner=inner, d=b + LANES * REPETITIONS, a=0, b=1 << 15),
        Quant(dest=Dest.ACT, outer=1, inner=INNER // 32 * 32, a=0),
        Quant(dest=Dest.ACT, outer=REPETITIONS, inner=4 * 32, stride=60, a=0),
        Quant(dest=Dest.ACT, outer=2, inner=4 * 32, stride=inner, a=0),
    ]
    shown = [(1 << 15, inner // 64 * 64), (a, 64 * REPETITIONS), (b, LANES * (REPETITIONS + 1))]
    same(devices, insns, data, shown, scratch=END - SCRATCH)


def test_load(devices):
    """The whole vector memory at once, which is less than LOAD's size can say."""
    data = Data()
    words = np.random.default_rng(8).normal(size=CONFIG.vector_words)
    insns = loaded(data, words, 0)
    same(devices, insns, data, [(0, SCRATCH), (END - 2 * SCRATCH, SCRATCH)], scratch=END - SCRATCH)
