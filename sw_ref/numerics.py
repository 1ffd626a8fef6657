"""Bit-exact arithmetic. Every rounding rule of the machine is defined here, once.

fp32 is IEEE-754 binary32, round to nearest even, with two differences:

- Subnormal operands and results are zeros of the same sign (tininess is detected before rounding).
- There are no infinities and no NaNs. A result that rounds to 2**128 or more in magnitude is the
  largest finite number, +-`MAX`. The exponent field 255 of an operand is one more exponent.

So every function is defined for all patterns, and none returns an exponent field of 255. Integers
are exact throughout.
"""

import numpy as np

from rtl.spec.numbers import GROUP, WINDOW


__all__ = [
    "GROUP",
    "WINDOW",
    "MAGIC",
    "MIN_NORMAL",
    "MAX",
    "value",
    "rounded",
    "loaded",
    "product",
    "add",
    "shifted",
    "madd",
    "nmadd",
    "dot",
    "clamp",
    "integer",
    "scale",
    "nscale1",
    "rest",
    "recip_seed",
    "rsqrt_seed",
    "quantize",
    "dequantize",
    "group_shift",
    "aligned",
    "group_sums",
    "exact_sums",
    "linear_scale",
    "linear",
]


f32 = np.float32
MAGIC = 12582912.0  # 1.5 * 2**23: added to x, leaves round(x) in the low bits.
MIN_NORMAL = f32(2.0**-126)
MAX = np.finfo(f32).max  # 2**128 - 2**104
MAGNITUDE = 0x7FFFFFFF  # All but the sign.
SPECIAL = 0x7F800000  # The first magnitude with an exponent field of 255.


def _magnitude(x):
    """Patterns without their signs, int32."""
    return x.view(np.int32) & MAGNITUDE


def _with_sign(magnitude, x):
    """float32 of the pattern `magnitude`, int32, with the sign of x."""
    return (magnitude | x.view(np.int32) & ~MAGNITUDE).view(f32)


def value(x):
    """The numbers that fp32 patterns stand for, as float64: below 2**129 in magnitude."""
    x = np.asarray(x, f32)
    magnitude = _magnitude(x)
    wide = magnitude >= SPECIAL
    if wide.any():
        half = _with_sign(np.where(wide, magnitude - (1 << 23), magnitude), x)
        exact = np.where(wide, 2.0, 1.0) * half
    else:
        exact = x.astype(np.float64)
    return np.where(np.abs(exact) < MIN_NORMAL, 0.0 * exact, exact)


def rounded(exact):
    """fp32 of a float64: flushed, rounded, limited to +-`MAX`.

    Of a sum or product of two fp32 numbers this is one rounding: 53 bits are at least 2 * 24 + 2.
    """
    limited = np.clip(exact, -MAX, MAX).astype(f32)
    return np.where(np.abs(exact) < MIN_NORMAL, np.copysign(f32(0), limited), limited)


def loaded(x):
    """What LOAD writes: +-`MAX` for exponent fields of 255, all else, subnormals too, as it is."""
    x = np.asarray(x, f32)
    magnitude = _magnitude(x)
    if (magnitude < SPECIAL).all():
        return x
    return _with_sign(np.minimum(magnitude, MAX.view(np.int32)), x)


def product(a, b):
    """a * b."""
    return rounded(value(a) * value(b))


def add(a, b):
    """a + b. The sum of opposites is +0."""
    return rounded(value(a) + value(b))


def shifted(a, n):
    """a * 2**n."""
    return rounded(np.ldexp(value(a), n))


def madd(a, b, c):
    """a * b + c, rounded after the product and after the sum."""
    return add(product(a, b), c)


def nmadd(a, b, c):
    """c - a * b, rounded after the product and after the sum."""
    return add(-product(a, b), c)


def dot(a, b):
    """Sum of a * b along the last axis: 64 partial sums, then halves added to halves.

    Element i goes to partial sum i mod 64, in order, starting from +0; each product and each sum
    is rounded. The partial sums 32 to 63 are added to 0 to 31, then 16 to 31 to 0 to 15, and so on.
    """
    products = product(a, b)
    # Adding -0 changes nothing; +0 would change a partial sum of -0.
    padding = [(0, 0)] * (products.ndim - 1) + [(0, -products.shape[-1] % 64)]
    products = np.pad(products, padding, constant_values=-0.0)
    products = products.reshape(*products.shape[:-1], -1, 64)
    sums = np.zeros((*products.shape[:-2], 64), f32)
    for n in range(products.shape[-2]):
        sums = add(sums, products[..., n, :])
    while sums.shape[-1] > 1:
        half = sums.shape[-1] // 2
        sums = add(sums[..., :half], sums[..., half:])
    return sums[..., 0]


def clamp(a, b):
    """The smaller of two magnitudes, with the sign of a, also when it is zero."""
    a, b = value(a), value(b)
    return rounded(np.copysign(np.minimum(np.abs(a), np.abs(b)), a))


def integer(t):
    """The integer in the low ten bits, two's complement, of t's pattern.

    With t = MAGIC + n that is n, for |n| < 512.
    """
    return np.asarray(t, f32).view(np.int32) << 22 >> 22


def scale(a, t, sign=1):
    """a * 2**(sign * n), n the :func:`integer` of t."""
    return shifted(a, sign * integer(t))


def nscale1(a, t):
    """1 + a * 2**-n, n the :func:`integer` of t."""
    return add(f32(1), scale(a, t, -1))


def rest(a, b, t):
    """n - a * b, n the :func:`integer` of t."""
    return nmadd(a, b, integer(t).astype(f32))


def recip_seed(a):
    """First guess at 1 / a: off by at most 5.1 % for normal a, of the same sign.

    It is a zero where it would be below 2**-126, from 0x7e7311c8 on (8.1e37). That of a zero is
    0x7ef311c7 (1.6e38), and those of subnormals are near it.
    """
    a = np.asarray(a, f32)
    seed = 0x7EF311C7 - _magnitude(a)
    return _with_sign(np.where(seed < MIN_NORMAL.view(np.int32), 0, seed), a)


def rsqrt_seed(a):
    """First guess at 1 / sqrt(abs(a)): off by at most 3.5 % for normal a."""
    return (0x5F3759DF - (_magnitude(np.asarray(a, f32)) >> 1)).view(f32)


def quantize(x, group=GROUP, bits=8):
    """Quantize groups along the last axis to integers that share a power of two.

    The scale is 2**(exponent - 127 - (bits - 2)), where `exponent` is the biased exponent field of
    the group's largest magnitude, so that this becomes an integer of `bits` - 1 bits. Elements are
    rounded to nearest, halves away from zero, and limited to +-(2**(bits - 1) - 1). This is the
    MXINT8 format of the OCP Microscaling specification for 8 bits and groups of 32.

    Returns the integers, int16, in the shape of x, and the exponents, uint8, one per group. A group
    of zeros has the exponent 0.
    """
    x = np.asarray(x, f32)
    groups = x.reshape(*x.shape[:-1], -1, group)
    exponent = _magnitude(groups).max(-1) >> 23
    scaled = np.ldexp(value(groups), (127 + bits - 2 - exponent)[..., None])
    limit = (1 << bits - 1) - 1
    magnitude = np.minimum(np.floor(np.abs(scaled) + 0.5), limit)
    q = np.where(np.signbit(groups), -magnitude, magnitude).astype(np.int16)
    return q.reshape(x.shape), exponent.astype(np.uint8)


def dequantize(q, exponent, bits=8):
    """The values, float64, that :func:`quantize`'s integers stand for."""
    groups = q.reshape(*exponent.shape, -1)
    exponent = exponent.astype(np.int32) - (127 + bits - 2)
    return np.ldexp(groups.astype(np.float64), exponent[..., None]).reshape(q.shape)


def group_shift(exponents):
    """Left shift that aligns each group's sums with the largest group's; -1 to drop the group.

    `exponents` has the groups of one activation vector on its last axis.
    """
    exponents = np.asarray(exponents, np.int32)
    shift = WINDOW - (exponents.max(-1, keepdims=True) - exponents)
    return np.where(shift < 0, -1, shift)


def aligned(q, exponents):
    """Activations as exact float64 integers on one scale: q << group_shift, or zero."""
    shift = group_shift(exponents)
    factor = np.where(shift < 0, 0.0, np.ldexp(1.0, np.maximum(shift, 0)))
    return (q.reshape(*exponents.shape, -1) * factor[..., None]).reshape(q.shape)


def group_sums(sums, totals, scale, centre, shift):
    """A group's share of :func:`exact_sums`, of the sums of its products with codes.

    Parameters
    ----------
    sums : int64 (M, rows)
        Activations times what :func:`rtl.spec.formats.grid` makes of the codes.
    totals, shift : int64 (M,)
        Sum of the group's activations, and its :func:`group_shift`.
    scale, centre : int64 (rows,)
        Of the group's weights, the centre shifted by its matrix's `centre_shift`.
    """
    terms = sums * scale + centre * totals[:, None]
    return np.where(shift < 0, 0, terms.T << np.maximum(shift, 0)).T


def exact_sums(weight, q, exponents):
    """Integers (M, rows), as float64, of which :func:`linear` makes fp32 numbers."""
    return aligned(q, exponents) @ weight.T


def linear_scale(acc, row_scale, exponent):
    """fp32 of an exact sum: acc rounded to fp32, times row_scale, times 2**(exponent - 148).

    `exponent` is the largest group exponent of the activation vector; 148 = 127 + 6 + WINDOW.
    """
    whole = np.asarray(acc, np.float64) + 0.0  # an integer has no -0
    scaled = product(whole.astype(f32), row_scale)
    return shifted(scaled, np.asarray(exponent, np.int32) - (127 + 6 + WINDOW))


def linear(weight, row_scale, q, exponents):
    """Product of a matrix and quantized activation vectors.

    Parameters
    ----------
    weight : float64 (rows, K)
        Integer weights, :func:`rtl.spec.formats.integers`: below 2**15 in magnitude.
    row_scale : float32 (rows,)
    q : int16 (M, K)
    exponents : uint8 (M, K / 32)

    Returns float32 (M, rows). Sums are exact: they stay below 2**52 for K up to 32736, which is
    all that there is, and which :data:`rtl.spec.limits.ACC_BITS` and a float64 hold.
    """
    acc = exact_sums(weight, q, exponents)
    return linear_scale(acc, row_scale, exponents.max(-1)[..., None])
