"""The kernels give the bits of the numpy functions that define them."""

import itertools

import numpy as np
import pytest

from rtl.spec.isa import Func, Vector
from sim.harness.patterns import EDGES as PATTERNS, floats
from sw_ref import kernels, numerics
from sw_ref.machine import VECTOR_OPERANDS
from sw_ref.sequences import FUNCTIONS


LANES = 8
EDGES = floats(PATTERNS)
STORED = EDGES[np.isfinite(EDGES)]  # what the vector memory may hold


def same(got, expected):
    got, expected = np.broadcast_arrays(got, expected)
    np.testing.assert_array_equal(got.view(np.uint32), expected.view(np.uint32))
    assert np.isfinite(got).all()


def random_floats(rng, *shape):
    """All patterns alike that the vector memory may hold, but half of them close to 1."""
    wild = numerics.loaded(rng.integers(0, 1 << 32, shape, np.uint32).view(np.float32))
    return np.where(rng.random(shape) < 0.5, rng.normal(size=shape).astype(np.float32), wild)


def execute(memory, insn):
    _, *fields = vars(insn).values()
    kernels.vector(memory, LANES, insn.func.value, *fields[:VECTOR_OPERANDS])


def expected(memory, insn):
    """The memory after a Vector instruction, by its definition."""
    at = {
        x: getattr(insn, x) + np.arange(insn.outer)[:, None] * getattr(insn, f"{x}_stride")
        for x in "abcd"
    }
    word = np.arange(insn.inner)
    index = {x: at[x] + (word % LANES if getattr(insn, f"{x}_fill") else word) for x in "abc"}
    a, b, c = (memory[np.minimum(index[x], len(memory) - 1)] for x in "abc")
    if insn.b_const:
        b = np.array([insn.b_value], np.uint32).view(np.float32)
    if insn.c_const:
        c = np.array([insn.c_value], np.uint32).view(np.float32)
    after = memory.copy()
    if insn.func == Func.DOT:
        after[at["d"] + np.arange(LANES)] = numerics.dot(a, b)[:, None]
    else:
        after[at["d"] + word] = FUNCTIONS[insn.func](a, b, c)
    return after


@pytest.mark.parametrize("func", Func, ids=lambda f: f.name)
def test_vector_on_edge_values(func):
    triples = np.array(list(itertools.product(STORED, STORED, STORED)), np.float32)
    count = 8192
    for part in range(0, len(triples), count):
        memory = np.zeros((4, count), np.float32)
        memory[:3, : len(triples) - part] = triples[part : part + count].T
        memory = memory.reshape(-1)
        insn = Vector(func=func, outer=1, inner=count, a=0, b=count, c=2 * count, d=3 * count)
        after = expected(memory, insn)
        execute(memory, insn)
        same(memory, after)


@pytest.mark.seconds(1)
@pytest.mark.parametrize("func", Func, ids=lambda f: f.name)
def test_constants_of_every_class(func):
    """Constants may have an exponent field of 255, unlike what is stored."""
    random, count = np.random.default_rng(3), 256
    others = PATTERNS[:12] + random.integers(0, 1 << 32, 20).tolist()
    for b_value, c_value in itertools.product(PATTERNS, others):
        memory = np.zeros((4, count), np.float32)
        memory[:3] = np.where(
            random.random((3, count)) < 0.5,
            random_floats(random, 3, count),
            random.choice(STORED, (3, count)),
        )
        memory = memory.reshape(-1)
        b_const, c_const = random.integers(2, size=2).tolist()
        insn = Vector(
            func=func,
            outer=1,
            inner=count,
            a=0,
            b=count,
            c=2 * count,
            d=3 * count,
            b_const=b_const,
            c_const=c_const,
            b_value=b_value,
            c_value=c_value,
        )
        after = expected(memory, insn)
        execute(memory, insn)
        same(memory, after)


@pytest.mark.parametrize("func", [Func.MADD, Func.NMADD])
def test_no_fused_product(func):
    # (1 + e)(1 - e) - 1 is 0 with a rounded product, -e**2 in one step.
    memory = np.repeat(np.array([1 + 2.0**-23, 1 - 2.0**-23, 0, 9], np.float32), LANES)
    one = int(np.float32(-1 if func == Func.MADD else 1).view(np.uint32))
    execute(memory, Vector(func=func, outer=1, inner=8, a=0, b=8, c_const=1, c_value=one, d=24))
    assert (memory[24:] == 0).all()


@pytest.mark.parametrize("func", Func, ids=lambda f: f.name)
@pytest.mark.parametrize("seed", range(4))
def test_vector_operands(func, seed):
    """Strides, filled lines, constants, lengths, results in place of an operand."""
    rng = np.random.default_rng(seed)
    for inner, outer in itertools.product((8, 24, 56, 64, 72, 136), (1, 3)):
        memory = random_floats(rng, 8192)
        fields = {x: 1024 * (n + 1) for n, x in enumerate("abcd")}
        fields |= {f"{x}_stride": int(rng.choice([0, inner, 256])) for x in "abc"} | {
            "d_stride": 256
        }
        fields |= {f"{x}_fill": int(rng.integers(2)) for x in "abc"}
        fields |= {f"{x}_const": int(rng.integers(2)) for x in "bc"}
        fields |= {f"{x}_value": int(rng.choice(EDGES).view(np.uint32)) for x in "bc"}
        if func != Func.DOT and (place := rng.choice(list("abcd"))) != "d":
            fields |= {"d": fields[place], f"{place}_stride": 256, f"{place}_fill": 0}
        insn = Vector(func=func, outer=outer, inner=inner, **fields)
        after = expected(memory, insn)
        execute(memory, insn)
        same(memory, after)


@pytest.mark.parametrize(
    "fields",
    [
        {"d": 64 - 8, "d_stride": 8, "outer": 2},
        {"a": 64},
        {"a": 48, "inner": 24},
        {"b": 128},
        {"c": 60, "c_fill": 1},
    ],
)
def test_vector_past_the_end(fields):
    memory = np.zeros(64, np.float32)
    with pytest.raises(IndexError, match="past the end of the vector memory"):
        execute(memory, Vector(**{"func": Func.MADD, "outer": 1, "inner": 8} | fields))
    assert not memory.any()


def test_unused_operands_lie_anywhere():
    memory = np.ones(64, np.float32)
    far = {"b": 1 << 17, "c": 1 << 17}
    execute(memory, Vector(func=Func.RECIP, outer=1, inner=8, **far))
    execute(memory, Vector(func=Func.DOT, outer=1, inner=8, c=1 << 17))
    execute(memory, Vector(func=Func.MADD, outer=1, inner=8, b_const=1, c_const=1, **far))


def test_load():
    words = np.concatenate(
        [EDGES, np.random.default_rng(1).integers(0, 1 << 32, 9999, np.uint32).view(np.float32)]
    )
    memory = np.empty(len(words), np.float32)
    kernels.load(memory, words)
    same(memory, numerics.loaded(words))


@pytest.mark.parametrize("group, bits", [(32, 8), (64, 8), (64, 16), (128, 16)])
def test_quantize(group, bits):
    rng = np.random.default_rng(0)
    halves = np.float32([127, *(n + 0.5 for n in range(-63, 63))])  # ties
    tiny = STORED[np.abs(STORED) < 2.0**-125]
    rows = [
        random_floats(rng, group),
        np.zeros(group),
        np.full(group, -0.0),
        rng.choice(STORED, group),
        rng.choice(tiny, group),
        np.resize(halves, group),
        np.resize(halves, group) * 2.0**-100,
        np.full(group, -numerics.MAX),
    ]
    values = np.concatenate(rows).astype(np.float32).reshape(2, -1)
    memory = np.full(8192, 7, np.float32)
    stride = values.shape[1] + 96
    for n in range(2):
        memory[128 + n * stride :][: values.shape[1]] = values[n]
    q, exponents = kernels.quantize(memory, 2, values.shape[1], 128, stride, group, bits)
    expected_q, expected_exponents = numerics.quantize(values, group, bits)
    np.testing.assert_array_equal(q.reshape(values.shape), expected_q)
    np.testing.assert_array_equal(exponents.reshape(2, -1), expected_exponents)
    assert q.dtype == expected_q.dtype and exponents.dtype == expected_exponents.dtype
    with pytest.raises(IndexError, match="past the end of the vector memory"):
        kernels.quantize(memory, 2, 64, 8192 - 128, 96, 32, 8)
