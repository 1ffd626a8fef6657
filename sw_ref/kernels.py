"""What the functional machine spends its time on, compiled when first called: the same bits as
:mod:`sw_ref.numerics` and :mod:`sw_ref.attention`, which define them, at the speed of memory.

Each function does one unit's work for one instruction, right on the machine's memories. Numba
keeps the machine code in `__pycache__`, fuses no product with a sum, and reorders no float sums.
"""

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from rtl.config import GROUP, KV_BLOCK, UNIT_BYTES
from rtl.formats import SCALE_RUN, TILES, WeightFormat
from rtl.isa import Func

from .attention import BLOCK, EMPTY, EXP2, FRACTION, SCORE_BITS, SHIFT_LIMIT
from .numerics import MIN_NORMAL, WINDOW, f32


__all__ = ["vector", "quantize", "linear", "attend"]


kernel = njit(cache=True, nogil=True)

# Numba takes enums' values only as globals.
MADD, NMADD, DOT, CLAMP, SCALE, NSCALE, RECIP, RSQRT = (Func[name].value for name in (
    "MADD", "NMADD", "DOT", "CLAMP", "SCALE", "NSCALE", "RECIP", "RSQRT"))
U4_RUN, S8_RUN = (SCALE_RUN[fmt] for fmt in (WeightFormat.U4, WeightFormat.S8))
HALF = GROUP // 2       # A group's bytes in a beat: two nibbles each (U4), or half the group (S8).
PARTS = 64              # Partial sums of DOT.
SIGN = np.int32(-1 << 31)
ZERO = f32(0)


# fp32

@kernel
def _ftz(x):
    return x * ZERO if abs(x) < MIN_NORMAL else x


@kernel
def _product(a, b):
    exact = np.float64(a) * np.float64(b)
    return f32(exact) if not abs(exact) < MIN_NORMAL else f32(exact) * ZERO


@kernel
def _power(n):
    """2**n as a float64, for |n| < 1023."""
    return np.int64((n + 1023) << 52).view(np.float64)


@kernel
def _shifted(a, n):
    """a * 2**n, as :func:`sw_ref.numerics.shifted`."""
    exact = np.float64(a) * _power(n)
    return f32(exact) if not abs(exact) < MIN_NORMAL else f32(exact) * ZERO


@kernel
def _operand(memory, start, inner, lanes, fill, const, value, out):
    """Bring one repetition of an operand, subnormals and all, to `out`."""
    if const:
        out[:inner] = value
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
    a[inner:padded] = ZERO
    b[inner:padded] = ZERO
    sums = np.zeros(PARTS, np.float32)
    for at in range(0, padded, PARTS):
        for i in range(PARTS):
            sums[i] = _ftz(sums[i] + _product(_ftz(a[at + i]), _ftz(b[at + i])))
    half = PARTS // 2
    while half:
        for i in range(half):
            sums[i] = _ftz(sums[i] + sums[i + half])
        half //= 2
    return sums[0]


@kernel
def _elementwise(func, inner, a, b, c, d):
    if func == MADD:
        for i in range(inner):
            d[i] = _ftz(_product(_ftz(a[i]), _ftz(b[i])) + _ftz(c[i]))
    elif func == NMADD:
        for i in range(inner):
            d[i] = _ftz(_ftz(c[i]) - _product(_ftz(a[i]), _ftz(b[i])))
    elif func == CLAMP:
        for i in range(inner):
            x, limit = _ftz(a[i]), abs(_ftz(b[i]))
            d[i] = x if abs(x) <= limit or np.isnan(x) else np.copysign(limit, x)
    elif func == SCALE or func == NSCALE:
        bits, sign = c.view(np.int32), 1 if func == SCALE else -1
        for i in range(inner):
            n = (np.int64(bits[i]) & 0x3ff ^ 0x200) - 0x200
            d[i] = _shifted(_ftz(a[i]), sign * n)
    else:
        bits, result = a.view(np.int32), d.view(np.int32)
        for i in range(inner):
            result[i] = 0x7EF311C7 - bits[i] if func == RECIP else 0x5F3759DF - (bits[i] >> 1)


@kernel
def vector(memory, lanes, func, outer, inner, d, a, b, c, d_stride, a_stride, b_stride, c_stride,
           a_fill, b_fill, c_fill, b_const, c_const, b_value, c_value):
    """Execute a Vector instruction, given its fields, on the vector memory."""
    a_used = lanes if a_fill else inner
    d_used = lanes if func == DOT else inner
    b_used = 0 if b_const else lanes if b_fill else inner
    c_used = 0 if c_const else lanes if c_fill else inner
    if func in (DOT, CLAMP, RECIP, RSQRT):
        c_used = 0
    if func in (SCALE, NSCALE, RECIP, RSQRT):
        b_used = 0
    last = outer - 1
    end = max(d + last * d_stride + d_used, a + last * a_stride + a_used)
    if b_used:
        end = max(end, b + last * b_stride + b_used)
    if c_used:
        end = max(end, c + last * c_stride + c_used)
    if end > len(memory):
        raise IndexError("past the vector memory's end: address", end)

    constants = np.array([b_value, c_value], np.uint32).view(np.float32)
    room = inner + PARTS
    rows = np.empty((4, room), np.float32)
    for o in range(outer):
        _operand(memory, a + o * a_stride, inner, lanes, a_fill, 0, ZERO, rows[0])
        if b_used or b_const:
            _operand(memory, b + o * b_stride, inner, lanes, b_fill, b_const, constants[0], rows[1])
        if c_used or c_const:
            _operand(memory, c + o * c_stride, inner, lanes, c_fill, c_const, constants[1], rows[2])
        at = d + o * d_stride
        if func == DOT:
            memory[at:at + lanes] = _dot(rows[0], rows[1], inner)
        else:
            # Not in place: LLVM's vectorizer gives up where operands may overlap the result.
            _elementwise(func, inner, rows[0], rows[1], rows[2], rows[3])
            for i in range(inner):
                memory[at + i] = rows[3, i]


@kernel
def quantize(x, group, bits):
    """As :func:`sw_ref.numerics.quantize`, of contiguous (outer, inner) values.

    Returns integers (groups, group) and their exponents (groups,).
    """
    values = x.reshape(-1, group)
    patterns = values.view(np.int32)
    q = np.empty(values.shape, np.int16)
    exponents = np.empty(len(values), np.uint8)
    limit = float((1 << bits - 1) - 1)
    for n in range(len(values)):
        largest = np.int32(0)
        for i in range(group):
            largest = max(largest, np.int32(patterns[n, i] & 0x7fffffff))
        exponent = largest >> 23
        exponents[n] = exponent
        scale = _power(127 + bits - 2 - exponent)
        for i in range(group):
            # A subnormal that is not flushed would still become 0, in a group with exponent 0 too.
            magnitude = min(np.floor(abs(np.float64(_ftz(values[n, i])) * scale) + 0.5), limit)
            q[n, i] = np.int16(-magnitude if values[n, i] < 0 else magnitude)
    return q, exponents


# Weight stream

@intrinsic
def _chunk_sums(ctx, codes, at, packed, q, column, chunk, out, place):
    """out[place + n] = sum of codes[at + 16 * n + i] * q[column, ..., chunk + n, i], n in range(4).

    16 terms of bytes; with `packed`, of low nibbles times q[column, 0] and of high nibbles times
    q[column, 1]. In vector instructions, since LLVM does not find them in loops this short.
    """
    raise NotImplementedError
