"""The arithmetic is what it says: against exact fractions, and for every class of patterns."""

from fractions import Fraction
from random import Random

import numpy as np
import pytest

from rtl.spec.isa import Func
from sim.harness.patterns import EDGES, floats, is_finite, pattern, patterns
from sw_ref import numerics
from sw_ref.sequences import FUNCTIONS


MAX = 0x7F7FFFFF


def exact(bits):
    """The number of a pattern, as a fraction."""
    exponent, fraction = bits >> 23 & 0xFF, bits & 0x7FFFFF
    size = Fraction(fraction + (1 << 23) if exponent else 0) * Fraction(2) ** (exponent - 150)
    return -size if bits >> 31 else size


def nearest(number, sign):
    """Pattern of a fraction, rounded to nearest even; `sign` is that of a zero."""
    size, sign = abs(number), number < 0 if number else sign
    if size < Fraction(2) ** -126:
        return sign << 31
    exponent = size.numerator.bit_length() - size.denominator.bit_length()
    exponent -= size < Fraction(2) ** exponent
    whole = round(size / Fraction(2) ** (exponent - 23))  # Python rounds halves to even
    return sign << 31 | min((exponent + 126 << 23) + whole, MAX)


def operands(count, width):
    """Pairs or triples of edge values, and as many random ones."""
    random = Random(width)
    edges = [tuple(random.choices(EDGES, k=width)) for _ in range(count)]
    return (
        edges
        + [tuple(random.getrandbits(32) for _ in range(width)) for _ in range(count)]
        + [tuple(pattern(random) for _ in range(width)) for _ in range(count)]
    )


def test_value():
    random = Random(1)
    for bits in EDGES + [random.getrandbits(32) for _ in range(1000)]:
        value = numerics.value(floats([bits]))[0]
        assert Fraction(value) == exact(bits), hex(bits)
        assert np.signbit(value) == bits >> 31, hex(bits)


def test_product_and_sum_round_once():
    pairs = [(a, b) for a in EDGES for b in EDGES] + operands(3000, 2)
    a, b = (floats(x) for x in zip(*pairs))
    products, totals = patterns(numerics.product(a, b)), patterns(numerics.add(a, b))
    for (x, y), product, total in zip(pairs, products, totals):
        assert product == nearest(exact(x) * exact(y), (x ^ y) >> 31), (hex(x), hex(y))
        assert total == nearest(exact(x) + exact(y), (x & y) >> 31), (hex(x), hex(y))


def test_sums_of_close_exponents():
    """Ties, cancellation and carries, up to the largest numbers."""
    random = Random(2)
    pairs = []
    for _ in range(5000):
        exponent = random.choice([255, 254, 253, random.randrange(1, 256)])
        other = max(exponent - random.randrange(27), 0)
        pairs.append((pattern(random, [exponent]), pattern(random, [other])))
    for (x, y), total in zip(pairs, patterns(numerics.add(*(floats(x) for x in zip(*pairs))))):
        assert total == nearest(exact(x) + exact(y), (x & y) >> 31), (hex(x), hex(y))


@pytest.mark.parametrize("func", FUNCTIONS, ids=lambda f: f.name)
def test_functions_are_total(func):
    a, b, c = (floats(x) for x in zip(*operands(20000, 3)))
    with np.errstate(all="raise", under="ignore"):
        result = patterns(FUNCTIONS[func](a, b, c))
    assert all(map(is_finite, result))


def test_dot_is_total():
    a, b = (floats(x).reshape(-1, 100) for x in zip(*operands(2000, 2)))
    assert all(map(is_finite, patterns(numerics.dot(a, b))))
    # Partial sums stay at the largest number.
    ones, huge = np.ones((1, 256), np.float32), np.full((1, 256), 3e38, np.float32)
    assert patterns(numerics.dot(ones, huge)) == [MAX]
    assert patterns(numerics.dot(ones, -huge)) == [MAX | 1 << 31]


@pytest.mark.parametrize("sign", [0, 1 << 31])
def test_named_points(sign):
    """What RFC 0005 says of single functions."""

    def one(function, *args):
        return patterns(function(*(floats([x]) for x in args)))[0]

    assert one(numerics.recip_seed, sign) == 0x7EF311C7 | sign
    assert one(numerics.recip_seed, 0x7E7311C7 | sign) == 0x00800000 | sign
    assert one(numerics.recip_seed, 0x7E7311C8 | sign) == sign
    assert one(numerics.recip_seed, 0x7FFFFFFF | sign) == sign
    assert one(numerics.rsqrt_seed, sign) == 0x5F3759DF
    assert one(numerics.rsqrt_seed, 0x3F800000 | sign) == 0x5F3759DF - 0x1FC00000
    assert one(numerics.rsqrt_seed, 0x7FFFFFFF | sign) == 0x1F3759E0
    assert one(numerics.clamp, 0x7F800000 | sign, 0xFFFFFFFF) == MAX | sign
    assert one(numerics.clamp, 0x7F800000 | sign, 0x3F800000) == 0x3F800000 | sign
    assert one(numerics.clamp, 0x3F800000 | sign, 0xFF800000) == 0x3F800000 | sign
    assert one(numerics.scale, 0x7FC00000 | sign, 0x4B400000) == MAX | sign
    assert one(numerics.scale, 0x7FC00000 | sign, 0x4B3FFFFF) == 0x7F400000 | sign
    assert one(numerics.scale, 0x007FFFFF | sign, 0x4B4001FF) == sign
    assert one(numerics.product, 0x7F800000 | sign, 0x3F000000) == 0x7F000000 | sign
    assert one(numerics.add, 0x7F800000 | sign, 0xFF000000 ^ sign) == 0x7F000000 | sign


def test_load_keeps_all_but_the_exponent_255():
    random = Random(3)
    words = EDGES + [random.getrandbits(32) for _ in range(10000)]
    for word, stored in zip(words, patterns(numerics.loaded(floats(words)))):
        assert stored == (word if is_finite(word) else MAX | word & 1 << 31), hex(word)


def test_linear_scale_is_total():
    """For every class of row scales and every exponent."""
    random = Random(4)
    for exponent in range(256):
        scales = random.choices(EDGES, k=40) + [random.getrandbits(32) for _ in range(40)]
        sums = [
            random.choice([0, 1, -1, 2**52 - 1, -(2**52), random.randrange(-(2**52), 2**52)])
            for _ in scales
        ]
        got = patterns(numerics.linear_scale(np.array(sums, np.float64), floats(scales), exponent))
        for acc, scale, result in zip(sums, scales, got):
            whole = nearest(Fraction(acc), 0)
            scaled = nearest(exact(whole) * exact(scale), (whole ^ scale) >> 31)
            want = nearest(exact(scaled) * Fraction(2) ** (exponent - 148), scaled >> 31)
            assert result == want, (acc, hex(scale), exponent)


@pytest.mark.parametrize("bits", [8, 16])
def test_quantize_is_total(bits):
    """Of groups with the exponent field 255 too, whose integers are as large as of any other."""
    random = Random(bits)
    x = floats([random.choice([*EDGES, random.getrandbits(32)]) for _ in range(3200)])
    q, exponent = numerics.quantize(x.reshape(-1, 32), bits=bits)
    groups = x.view(np.uint32).reshape(-1, 32).tolist()
    for values, integers, e in zip(groups, q.tolist(), exponent[:, 0].tolist()):
        assert e == max(v >> 23 & 0xFF for v in values)
        for v, n in zip(values, integers):
            size = abs(exact(v)) * Fraction(2) ** (127 + bits - 2 - e) + Fraction(1, 2)
            size = min(size.__floor__(), (1 << bits - 1) - 1)
            assert n == (-size if v >> 31 else size)


def test_every_function_is_here():
    assert {*FUNCTIONS, Func.DOT} == set(Func)


def test_fused_functions_round_as_their_steps():
    """REST and NSCALE1 have the bits of the two operations that each of them stands for."""
    x = np.random.default_rng(5).uniform(-80, 80, 1000).astype(np.float32)
    factor, magic = np.float32(1.4426950408889634), np.float32(numerics.MAGIC)
    t = numerics.madd(x, factor, magic)
    n = numerics.add(t, -magic)
    assert np.array_equal(numerics.integer(t), n.astype(int)) and len(np.unique(n)) > 100
    assert np.array_equal(numerics.rest(x, factor, t), numerics.nmadd(x, factor, n))
    scaled = numerics.add(numerics.scale(x, t, -1), np.float32(1))
    assert np.array_equal(numerics.nscale1(x, t), scaled)
