"""Vector operations and quantization, compiled to machine code when first called: the same bits as
:mod:`sw_ref.numerics`, which defines them. :mod:`sw_ref.attention_kernels` has attention.

Each function does one unit's work for one instruction, right on the machine's memories. Numba
fuses no product with a sum, and reorders no float sums, unless it is told to.

The vector memory never holds an exponent field of 255, since nothing writes one. Only constants of
instructions and row scales may have one: what takes these says so.
"""

import hashlib
from collections.abc import Callable
from typing import Any

import numba
import numpy as np

from rtl.spec.isa import Func

from . import build_cache
from .jit_cache import keep
from .numerics import MAX, MIN_NORMAL, f32


__all__ = [
    "kernel",
    "exact",
    "value",
    "product",
    "shifted",
    "load",
    "largest",
    "vector",
    "quantize",
]


# Patterns of files, since what they say is in the machine code.
CONSTANTS_OF = (
    "rtl/spec/numbers.py",
    "rtl/spec/score_cap.py",
    "rtl/spec/config.py",
    "rtl/spec/isa/*.py",
    "rtl/spec/sparse_modes.py",
    "rtl/spec/formats/*.py",
    "sw_ref/attention.py",
    "sw_ref/attention_kernels.py",
    "sw_ref/blocks.py",
    "sw_ref/decoded.py",
    "sw_ref/kernels.py",
    "sw_ref/linear.py",
    "sw_ref/numerics.py",
    "sw_ref/sparse.py",
)


def _cache():
    """Folder of the machine code of just these sources.

    Numba itself would notice no change but one of the file that a function is in.
    """
    paths = [path for pattern in CONSTANTS_OF for path in sorted(build_cache.ROOT.glob(pattern))]
    digest = hashlib.sha256(b"\0".join(path.read_bytes() for path in paths)).hexdigest()
    return build_cache.folder("kernels") / digest[:16]


CACHE = _cache()


def kernel(function, **options) -> Callable[..., Any]:
    """Decorator: compile a function when it is first called, and keep the result if possible."""
    return keep(numba.njit(function, nogil=True, error_model="numpy", **options), CACHE)


def exact(function) -> Callable[..., Any]:
    """The same for a function whose float sums are exact, so that their order does not matter."""
    return kernel(function, fastmath={"reassoc"})


# Numba takes enums' values only as globals.
MADD, NMADD, DOT, CLAMP, SCALE, NSCALE, RECIP, RSQRT, NSCALE1, REST = (
    func.value
    for func in (
        Func.MADD,
        Func.NMADD,
        Func.DOT,
        Func.CLAMP,
        Func.SCALE,
        Func.NSCALE,
        Func.RECIP,
        Func.RSQRT,
        Func.NSCALE1,
        Func.REST,
    )
)
PARTS = 64  # Partial sums of DOT.
ZERO, ONE = f32(0), f32(1)


@kernel
def ftz(x):
    """Number of a pattern whose exponent field is not 255."""
    return x * ZERO if abs(x) < MIN_NORMAL else x


@kernel
def rounded(exact):
    """As :func:`sw_ref.numerics.rounded`, of a float64, or of a float32 that may be infinite."""
    limited = min(max(f32(exact), -MAX), MAX)
    return limited * ZERO if abs(exact) < MIN_NORMAL else limited


@kernel
def _power(n):
    """2**n as a float64, for |n| < 1023."""
    return np.int64((n + 1023) << 52).view(np.float64)


@kernel
def value(x):
    """As :func:`sw_ref.numerics.value`, of any pattern."""
    if abs(x) <= MAX:
        return np.float64(ftz(x))
    bits = np.int64(f32(x).view(np.int32))
    magnitude = np.float64((bits & 0x7FFFFF) + (1 << 23)) * _power(255 - 150)
    return -magnitude if bits < 0 else magnitude


@kernel
def product(a, b):
    """As :func:`sw_ref.numerics.product`, of two numbers."""
    return rounded(np.float64(a) * np.float64(b))


@kernel
def shifted(a, n):
    """a * 2**n, as :func:`sw_ref.numerics.shifted`."""
    return rounded(np.float64(a) * _power(n))


@kernel
def load(to, words):
    """Copy `words`, float32 patterns, as :func:`sw_ref.numerics.loaded` defines."""
    for i in range(len(words)):
        x = words[i]
        to[i] = x if abs(x) <= MAX else np.copysign(MAX, x)


@kernel
def largest(exponents):
    """The largest of some exponents."""
    top = 0
    for exponent in exponents:
        top = max(top, np.int64(exponent))
    return top


@kernel
def _operand(memory, start, inner, lanes, fill, const, value, out):
    """Bring one repetition of an operand, subnormals and all, to `out`."""
    if const:
        for i in range(inner):
            out[i] = value
    elif fill:
        for at in range(0, inner, lanes):
            for i in range(lanes):
                out[at + i] = memory[start + i]
    else:
        for i in range(inner):
            out[i] = memory[start + i]


@kernel
def _dot(a, b, inner):
    """The sum of a * b, as :func:`sw_ref.numerics.dot`. The operands have room for `PARTS` more."""
    padded = inner + -inner % PARTS
    for i in range(inner, padded):
        a[i], b[i] = ZERO, -ZERO  # -0 is what changes no sum
    sums = np.zeros(PARTS, np.float32)
    for at in range(0, padded, PARTS):
        for i in range(PARTS):
            sums[i] = rounded(sums[i] + product(ftz(a[at + i]), ftz(b[at + i])))
    half = PARTS // 2
    while half:
        for i in range(half):
            sums[i] = rounded(sums[i] + sums[i + half])
        half //= 2
    return sums[0]


@kernel
def low_ten(pattern):
    """As :func:`sw_ref.numerics.integer`, of a pattern."""
    return (np.int64(pattern) & 0x3FF ^ 0x200) - 0x200


@kernel
def _elementwise(func, inner, a, b, c, d):
    if func == MADD:
        for i in range(inner):
            d[i] = rounded(product(ftz(a[i]), ftz(b[i])) + ftz(c[i]))
    elif func == NMADD:
        for i in range(inner):
            d[i] = rounded(ftz(c[i]) - product(ftz(a[i]), ftz(b[i])))
    elif func == CLAMP:
        for i in range(inner):
            x, limit = ftz(a[i]), abs(ftz(b[i]))
            d[i] = x if abs(x) <= limit else np.copysign(limit, x)
    elif func == SCALE or func == NSCALE or func == NSCALE1:
        bits, sign = c.view(np.int32), 1 if func == SCALE else -1
        for i in range(inner):
            scaled = shifted(ftz(a[i]), sign * low_ten(bits[i]))
            d[i] = rounded(ONE + scaled) if func == NSCALE1 else scaled
    elif func == REST:
        bits = c.view(np.int32)
        for i in range(inner):
            d[i] = rounded(f32(low_ten(bits[i])) - product(ftz(a[i]), ftz(b[i])))
    else:
        bits, result = a.view(np.int32), d.view(np.int32)
        for i in range(inner):
            magnitude = bits[i] & 0x7FFFFFFF
            if func == RSQRT:
                result[i] = 0x5F3759DF - (magnitude >> 1)
            else:
                seed = 0x7EF311C7 - magnitude
                result[i] = (seed if seed >= 0x00800000 else 0) | bits[i] & ~0x7FFFFFFF


@kernel
def vector(
    memory,
    lanes,
    func,
    outer,
    inner,
    d,
    a,
    b,
    c,
    d_stride,
    a_stride,
    b_stride,
    c_stride,
    a_fill,
    b_fill,
    c_fill,
    b_const,
    c_const,
    b_value,
    c_value,
):
    """Execute a Vector instruction, given its fields, on the vector memory."""
    a_used = lanes if a_fill else inner
    d_used = lanes if func == DOT else inner
    b_used = 0 if b_const else lanes if b_fill else inner
    c_used = 0 if c_const else lanes if c_fill else inner
    if func in (DOT, CLAMP, RECIP, RSQRT):
        c_used = 0
    if func in (SCALE, NSCALE, RECIP, RSQRT, NSCALE1):
        b_used = 0
    last = outer - 1
    end = max(d + last * d_stride + d_used, a + last * a_stride + a_used)
    if b_used:
        end = max(end, b + last * b_stride + b_used)
    if c_used:
        end = max(end, c + last * c_stride + c_used)
    if end > len(memory):
        raise IndexError("an address is past the end of the vector memory")

    constants = np.array([b_value, c_value], np.uint32).view(np.float32)
    # Float64 holds what a constant with an exponent field of 255 stands for.
    wide = not np.isfinite(constants).all() and func not in (SCALE, NSCALE, NSCALE1)
    room = inner + PARTS
    rows, values = np.empty((4, room), np.float32), np.empty((2, room if wide else 0))
    for o in range(outer):
        _operand(memory, a + o * a_stride, inner, lanes, a_fill, 0, ZERO, rows[0])
        if b_used or b_const:
            _operand(memory, b + o * b_stride, inner, lanes, b_fill, b_const, constants[0], rows[1])
        if c_used or c_const:
            _operand(memory, c + o * c_stride, inner, lanes, c_fill, c_const, constants[1], rows[2])
        for n in range(len(values)):
            for i in range(values.shape[1]):
                values[n, i] = value(rows[n + 1, i])
        at = d + o * d_stride
        if func == DOT:
            result = _dot(rows[0], values[0], inner) if wide else _dot(rows[0], rows[1], inner)
            for i in range(lanes):
                memory[at + i] = result
        else:
            # Not in place: LLVM's vectorizer gives up where operands may overlap the result.
            if wide and func == REST:  # c is a pattern
                _elementwise(func, inner, rows[0], values[0], rows[2], rows[3])
            elif wide:
                _elementwise(func, inner, rows[0], values[0], values[1], rows[3])
            else:
                _elementwise(func, inner, rows[0], rows[1], rows[2], rows[3])
            for i in range(inner):
                memory[at + i] = rows[3, i]


@kernel
def quantize(memory, outer, inner, a, stride, group, bits):
    """Quantize vector[a + o * stride : + inner], as :func:`sw_ref.numerics.quantize`.

    Returns the integers, int16 (groups, group), and the exponents, uint8 (groups,).
    """
    end = a + (outer - 1) * stride + inner
    if end > len(memory):
        raise IndexError("an address is past the end of the vector memory")
    count = inner // group
    q = np.empty((outer * count, group), np.int16)
    exponents = np.empty(outer * count, np.uint8)
    patterns = memory.view(np.int32)
    limit = np.float64((1 << bits - 1) - 1)
    for n in range(outer * count):
        at = a + n // count * stride + n % count * group
        largest = np.int32(0)
        for i in range(group):
            largest = max(largest, np.int32(patterns[at + i] & 0x7FFFFFFF))
        exponents[n] = largest >> 23
        scale = _power(127 + bits - 2 - (largest >> 23))
        for i in range(group):
            x = ftz(memory[at + i])
            magnitude = min(np.floor(abs(x * scale) + 0.5), limit)
            q[n, i] = np.int16(-magnitude if x < 0 else magnitude)
    return q, exponents
