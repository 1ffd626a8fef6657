"""Bit-exact arithmetic. Every rounding rule of the machine is defined here, once.

fp32 is IEEE-754 binary32, round to nearest even, with subnormal operands and results taken as
zero of the same sign (tininess is detected before rounding). Integers are exact throughout.
"""

import numpy as np


__all__ = ["GROUP", "WINDOW", "MAGIC", "ftz", "product", "madd", "nmadd", "dot", "clamp", "scale", "recip_seed",
           "rsqrt_seed", "shifted", "quantize", "dequantize", "group_shift", "aligned", "linear_scale", "linear"]


GROUP = 32
WINDOW = 15              # Groups more than 2**-WINDOW below the largest contribute nothing.
MAGIC = 12582912.0       # 1.5 * 2**23: added to x, leaves round(x) in the low bits.
MIN_NORMAL = np.float32(2.0 ** -126)
f32 = np.float32


def _has_tiny(x):
    """Whether a value may have to be flushed: one above 0 and not above 2**-126 in magnitude."""
    bits = np.asarray(x, f32).view(np.uint32) & np.uint32(0x7fffffff)
    return (bits - np.uint32(1) < np.uint32(0x00800000)).any()  # zeros wrap around


def ftz(x):
    """Replace subnormal fp32 values by zeros of the same sign."""
    x = np.asarray(x, f32)
    return np.where(np.abs(x) < MIN_NORMAL, np.copysign(f32(0), x), x) if _has_tiny(x) else x


def product(a, b):
    """a * b, rounded once."""
    with np.errstate(over="ignore", under="ignore"):
        rounded = np.asarray(a, f32) * np.asarray(b, f32)
    if not _has_tiny(rounded):
        return rounded
    exact = np.asarray(a, np.float64) * np.asarray(b, np.float64)  # 48 bits: exact
    return np.where(np.abs(exact) < MIN_NORMAL, np.copysign(f32(0), rounded), rounded)


def shifted(a, n):
    """a * 2**n: exact, a zero below the normal range, an infinity above it."""
    exact = np.ldexp(a.astype(np.float64), n)
    with np.errstate(over="ignore"):
        rounded = exact.astype(f32)
    return np.where(np.abs(exact) < MIN_NORMAL, np.copysign(f32(0), rounded), rounded)


def madd(a, b, c):
    """a * b + c, rounded after the product and after the sum."""
    return ftz(product(ftz(a), ftz(b)) + ftz(c))


def nmadd(a, b, c):
    """c - a * b, rounded after the product and after the sum."""
    return ftz(ftz(c) - product(ftz(a), ftz(b)))


def dot(a, b):
    """Sum of a * b along the last axis: 64 partial sums, then halves added to halves.

    Element i goes to partial sum i mod 64, in order, starting from +0; each product and each sum
    is rounded. The partial sums 32 to 63 are added to 0 to 31, then 16 to 31 to 0 to 15, and so on.
    """
    products = product(ftz(a), ftz(b))
    # Adding -0 changes nothing; +0 would change a partial sum of -0.
    padding = [(0, 0)] * (products.ndim - 1) + [(0, -products.shape[-1] % 64)]
    products = np.pad(products, padding, constant_values=-0.0)
    products = products.reshape(*products.shape[:-1], -1, 64)
    sums = np.zeros((*products.shape[:-2], 64), f32)
    for n in range(products.shape[-2]):
        sums = ftz(sums + products[..., n, :])
    while sums.shape[-1] > 1:
        half = sums.shape[-1] // 2
        sums = ftz(sums[..., :half] + sums[..., half:])
    return sums[..., 0]


def clamp(a, b):
    """Limit a to [-|b|, |b|]. The result has the sign of a, also when it is zero."""
    a, b = ftz(a), ftz(b)
    return np.copysign(np.minimum(np.abs(a), np.abs(b)), a)


def scale(a, t, sign=1):
    """a * 2**(sign * n), n the integer in the low ten bits, two's complement, of t's pattern.

    With t = MAGIC + n that is n, for |n| < 512. The exponent field is added to: a zero stays, a
    result below 2**-126 is a zero of the same sign, one of 2**128 or more an infinity.
    """
    n = np.asarray(t, f32).view(np.int32) << 22 >> 22
    return shifted(ftz(a), sign * n)


def recip_seed(a):
    """First guess at 1 / a, for positive normal a: off by at most 12.5 %."""
    return (np.int32(0x7EF311C7) - np.asarray(a, f32).view(np.int32)).view(f32)


def rsqrt_seed(a):
    """First guess at 1 / sqrt(a), for positive normal a: off by at most 3.5 %."""
    return (np.int32(0x5F3759DF) - (np.asarray(a, f32).view(np.int32) >> 1)).view(f32)


def quantize(x, group=GROUP, bits=8):
    """Quantize groups along the last axis to integers that share a power of two.

    The scale is 2**(exponent - 127 - (bits - 2)), where `exponent` is the biased exponent field of
    the group's largest magnitude, so that this becomes an integer of `bits` - 1 bits. Elements are
    rounded to nearest, halves away from zero, and limited to +-(2**(bits - 1) - 1). This is the
    MXINT8 format of the OCP Microscaling specification for 8 bits and groups of 32.

    Returns the integers, int16, in the shape of x, and the exponents, uint8, one per group. A group
    of zeros has the exponent 0.
    """
    x = ftz(x)
    groups = x.reshape(*x.shape[:-1], -1, group)
    exponent = (np.abs(groups).max(-1).view(np.int32) >> 23) & 0xff
    scaled = np.ldexp(groups.astype(np.float64), (127 + bits - 2 - exponent)[..., None])
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


def linear_scale(acc, row_scale, exponent):
    """fp32 of an exact sum: acc rounded to fp32, times row_scale, times 2**(exponent - 148).

    `exponent` is the largest group exponent of the activation vector; 148 = 127 + 6 + WINDOW.
    """
    whole = np.asarray(acc, np.float64) + 0.0  # an integer has no -0
    scaled = product(whole.astype(f32), ftz(row_scale))
    return shifted(scaled, np.asarray(exponent, np.int32) - (127 + 6 + WINDOW))


def linear(weight, row_scale, q, exponents):
    """Product of a matrix and quantized activation vectors.

    Parameters
    ----------
    weight : float64 (rows, K)
        Integer weights, :func:`rtl.formats.integers`: below 2**15 in magnitude.
    row_scale : float32 (rows,)
    q : int16 (M, K)
    exponents : uint8 (M, K / 32)

    Returns float32 (M, rows). Sums are exact: they stay below 2**52 for K up to 16384.
    """
    acc = aligned(q, exponents) @ weight.T
    return linear_scale(acc, row_scale, exponents.max(-1)[..., None])
