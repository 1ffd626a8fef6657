"""Vector operations, quantization and attention, compiled to machine code when first called: the
same bits as :mod:`sw_ref.numerics` and :mod:`sw_ref.attention`, which define them.

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

from rtl.spec import score_cap
from rtl.spec.config import KV_BLOCK, UNIT_BYTES
from rtl.spec.isa import Func
from rtl.spec.score_cap import EXTRA, PIECES

from . import build_cache
from .attention import BLOCK, EMPTY, EXP2, FRACTION, SCORE_BITS, SHIFT_LIMIT
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
    "NO_CURVE",
    "curve",
    "capped",
    "attend",
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
MADD, NMADD, DOT, CLAMP, SCALE, NSCALE, RECIP, RSQRT = (
    Func[name].value
    for name in ("MADD", "NMADD", "DOT", "CLAMP", "SCALE", "NSCALE", "RECIP", "RSQRT")
)
PARTS = 64  # Partial sums of DOT.
ZERO = f32(0)


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
    elif func == SCALE or func == NSCALE:
        bits, sign = c.view(np.int32), 1 if func == SCALE else -1
        for i in range(inner):
            n = (np.int64(bits[i]) & 0x3FF ^ 0x200) - 0x200
            d[i] = shifted(ftz(a[i]), sign * n)
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
    if func in (SCALE, NSCALE, RECIP, RSQRT):
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
    wide = not np.isfinite(constants).all() and func not in (SCALE, NSCALE)
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
            if wide:
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


NO_CURVE = np.zeros(0, np.int64), 0


def curve(cap):
    """Nodes of the curve of a cap, and its shift, as :func:`attend` takes them."""
    its = score_cap.curve(cap)
    return np.array(its.nodes), its.shift


@kernel
def capped(score, nodes, shift):
    """As :func:`sw_ref.attention.capped`, of one score, on a curve's nodes."""
    magnitude = min(abs(score), (PIECES << shift) - 1)
    piece, place = magnitude >> shift, magnitude & (1 << shift) - 1
    exact = nodes[piece] + ((nodes[piece + 1] - nodes[piece]) * place >> shift)
    result = (exact + (1 << EXTRA - 1)) >> EXTRA
    return -result if score < 0 else result


@kernel
def attend(memory, blocks, start, length, q, exponents, nodes, shift):
    """Attend to the positions from `start` to below `length` of a KV head.

    `blocks` are the bytes of DRAM, int64, at which its blocks begin, from that of `start` on.
    `nodes`, int64, and `shift` are those of the curve that caps scores, `NO_CURVE` if none does.
    `q` and `exponents`, and the results, are :func:`sw_ref.attention.attend`'s.
    """
    queries, dim = q.shape
    block_bytes = UNIT_BYTES + 2 * KV_BLOCK * dim
    limit = 1 << SCORE_BITS - 1
    numerators, denominators = np.empty((queries, dim), np.float32), np.empty(queries, np.float32)
    table, whole = np.empty(BLOCK, np.int64), np.empty(BLOCK, np.int64)
    lifted, numerator, added = (
        np.empty(BLOCK, np.int64),
        np.empty(dim, np.int64),
        np.empty(dim, np.int32),
    )
    for n in range(queries):
        top, lifted_top, denominator = EMPTY, EMPTY, 0
        numerator[:] = 0
        for which, at in enumerate(blocks):
            first = (start // BLOCK + which) * BLOCK
            low, high = max(start - first, 0), min(BLOCK, length - first)
            block = memory[at:][:block_bytes]
            scale = block[:UNIT_BYTES].reshape(2, KV_BLOCK)
            lines = block[UNIT_BYTES:].view(np.int8).reshape(2, KV_BLOCK, dim)
            new_top, new_lifted = top, lifted_top
            for p in range(low, high):
                dot = 0
                for i in range(dim):
                    dot += q[n, i] * lines[0, p, i]
                left = np.int64(exponents[n]) + scale[0, p] - 264
                score = (dot << min(max(left, 0), 24)) >> min(max(-left, 0), 40)
                score = min(max(score, -limit), limit - 1)
                if len(nodes):
                    score = capped(score, nodes, shift)
                table[p], whole[p] = EXP2[score & (1 << FRACTION) - 1], score >> FRACTION
                lifted[p] = whole[p] + scale[1, p]
                new_top, new_lifted = max(new_top, whole[p]), max(new_lifted, lifted[p])
            denominator >>= min(new_top - top, SHIFT_LIMIT)
            for i in range(dim):
                numerator[i] >>= min(new_lifted - lifted_top, SHIFT_LIMIT)
            top, lifted_top = new_top, new_lifted
            added[:] = 0  # 32 bits hold a block's sums.
            for p in range(low, high):
                denominator += table[p] >> min(top - whole[p], SHIFT_LIMIT)
                weight = np.int32(table[p] >> min(lifted_top - lifted[p], SHIFT_LIMIT))
                for i in range(dim):
                    added[i] += weight * lines[1, p, i]
            for i in range(dim):
                numerator[i] += added[i]
        for i in range(dim):
            numerators[n, i] = shifted(f32(numerator[i]), lifted_top - top - 133)
        denominators[n] = denominator
    return numerators, denominators
