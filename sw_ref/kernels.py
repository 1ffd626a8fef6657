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


kernel = njit(cache=True, nogil=True, error_model="numpy")

# Numba takes enums' values only as globals.
MADD, NMADD, DOT, CLAMP, SCALE, NSCALE, RECIP, RSQRT = (Func[name].value for name in (
    "MADD", "NMADD", "DOT", "CLAMP", "SCALE", "NSCALE", "RECIP", "RSQRT"))
U4_RUN, S8_RUN = SCALE_RUN[WeightFormat.U4], SCALE_RUN[WeightFormat.S8]
CHUNK = GROUP // 2      # Bytes of a row in a beat: a group's nibbles (U4), or half a group (S8).
QUAD = 4                # Chunks taken at a time.
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
        a[i] = b[i] = ZERO
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
            result = _dot(rows[0], rows[1], inner)
            for i in range(lanes):
                memory[at + i] = result
        else:
            # Not in place: LLVM's vectorizer gives up where operands may overlap the result.
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
        raise IndexError("past the vector memory's end: address", end)
    count = inner // group
    q = np.empty((outer * count, group), np.int16)
    exponents = np.empty(outer * count, np.uint8)
    patterns = memory.view(np.int32)
    limit = np.float64((1 << bits - 1) - 1)
    for n in range(outer * count):
        at = a + n // count * stride + n % count * group
        largest = np.int32(0)
        for i in range(group):
            largest = max(largest, np.int32(patterns[at + i] & 0x7fffffff))
        exponents[n] = largest >> 23
        scale = _power(127 + bits - 2 - (largest >> 23))
        for i in range(group):
            x = _ftz(memory[at + i])
            magnitude = min(np.floor(abs(x * scale) + 0.5), limit)
            q[n, i] = np.int16(-magnitude if x < 0 else magnitude)
    return q, exponents


# Weight stream

def _quad(packed):
    """Function that takes four chunks of the weight stream, codes[at + 16 * n + i], and writes to
    values[to:] each one's share of its row's sum: of a group (U4, `packed`) or half of one (S8).

    `low`, `high`, `totals` and `shifts` are :func:`_spread`'s, `place` is the first chunk's in them.
    It is written in vector operations: LLVM does not find them in loops as short as these.
    """
    lanes = QUAD * CHUNK

    def lanes_of(count, width):
        return ir.VectorType(ir.IntType(width), count)

    def emit(context, builder, signature, args):
        def load(n, index, count):
            return builder.load(pointer(n, index, count), align=1)

        def pointer(n, index, count):
            array = context.make_array(signature.args[n])(context, builder, args[n])
            shape = lanes_of(count, signature.args[n].dtype.bitwidth)
            return builder.bitcast(builder.gep(array.data, [index]), shape.as_pointer())

        def pick(v, *indices):
            return builder.shuffle_vector(v, v, ir.Constant(lanes_of(len(indices), 32), indices))

        def constant(like, value):
            return ir.Constant(like.type, [value] * like.type.count)

        _, at, scales, _, _, _, _, place, centre_shift, tile, _, to = args
        codes = load(0, at, lanes)
        first = builder.mul(place, place.type(CHUNK))
        low, high = load(3, first, lanes), load(4, first, lanes)
        int32 = lanes_of(QUAD, 32)
        # 16 bits hold the sum of two nibbles' products, or one byte's.
        if packed:
            products = builder.add(
                builder.mul(builder.zext(builder.and_(codes, constant(codes, 15)), low.type), low),
                builder.mul(builder.zext(builder.lshr(codes, constant(codes, 4)), low.type), high))
        else:
            products = builder.mul(builder.sext(codes, low.type), low)
        sums = builder.sext(products, lanes_of(lanes, 32))
        while (count := sums.type.count) > QUAD:
            sums = builder.add(pick(sums, *range(0, count, 2)), pick(sums, *range(1, count, 2)))
        if packed:
            pairs = load(0, scales, 2 * QUAD)
            scale, centre = pick(pairs, 0, 2, 4, 6), builder.sext(pick(pairs, 1, 3, 5, 7), int32)
            shift = pick(builder.insert_element(ir.Constant(int32, None), builder.trunc(
                centre_shift, int32.element), int32.element(0)), 0, 0, 0, 0)
            totals = load(5, place, QUAD)
            sums = builder.sub(builder.mul(sums, constant(sums, 2)),
                               builder.mul(totals, constant(totals, 15)))
            of_centre = builder.mul(totals, builder.shl(centre, shift))
        else:
            # Halves of a group are as far apart as there are rows in a tile.
            scale, of_centre = load(0, scales, QUAD), ir.Constant(int32, None)
            for rows, order in (2, (0, 1, 0, 1)), (1, (0, 0, 1, 1)):
                scale = builder.select(builder.icmp_signed("==", tile, tile.type(rows)),
                                       pick(scale, *order), scale)
        sums = builder.add(builder.mul(sums, builder.zext(scale, int32)), of_centre)
        values = builder.shl(builder.sext(sums, lanes_of(QUAD, 64)), load(6, place, QUAD))
        builder.store(values, pointer(10, to, QUAD), align=8)
        return context.get_dummy_value()

    @intrinsic
    def quad(ctx, codes, at, scales, low, high, totals, shifts, place, centre_shift, tile, values, to):
        at = types.intp
        return types.void(codes, at, at, low, high, totals, shifts, at, at, at, values, at), emit

    return quad


_u4_quad, _s8_quad = _quad(packed=True), _quad(packed=False)


@kernel
def _largest(exponents):
    top = 0
    for exponent in exponents:
        top = max(top, np.int64(exponent))
    return top


@kernel
def _spread(q, exponents, packed, tile):
    """What each chunk of a tile of rows is multiplied with, chunks of all columns one after the other.

    That is: the activations for the low nibbles (U4) or for the bytes (S8), those for the high
    nibbles, the sum of both, and the shift. A dropped group's are zeros. Each column has as many
    chunks as a tile, and then the first ones again, since quads may begin in one and end in the next.
    """
    columns, groups = exponents.shape
    halves = 1 if packed else 2   # chunks per group and row
    chunks = groups * halves * tile
    width = chunks + QUAD - 1
    low, high = np.zeros(columns * width * CHUNK, np.int16), np.zeros(columns * width * CHUNK, np.int16)
    totals, shifts = np.zeros(columns * width, np.int32), np.zeros(columns * width, np.int64)
    for m in range(columns):
        top = _largest(exponents[m])
        for n in range(width):
            half = n % chunks // tile
            g, half = half // halves, half % halves
            shift = WINDOW - (top - exponents[m, g])
            if shift < 0:
                continue
            to, total = m * width + n, 0
            for i in range(CHUNK):
                low[to * CHUNK + i] = q[m, g, half * CHUNK + i]
                high[to * CHUNK + i] = q[m, g, CHUNK + i]
                total += low[to * CHUNK + i] + high[to * CHUNK + i]
            totals[to], shifts[to] = total, shift
    return low, high, totals, shifts


@kernel
def linear(stream, packed, rows, beat_bytes, block_beats, centre_shift, q, exponents, out, stride):
    """Product of a matrix, as it lies in DRAM, and quantized activation vectors.

    `stream` is what :func:`rtl.formats.pack` made, uint8, U4 if `packed`, with `block_beats` beats
    per block. The other operands, and the results' bits, are :func:`sw_ref.numerics.linear`'s, with
    `q` int16 (M, groups, 32). Element n of column m's result becomes out[m * stride + n].
    """
    columns, groups = exponents.shape
    tile = beat_bytes // CHUNK
    block_rows = TILES * tile
    run = (U4_RUN if packed else S8_RUN) * tile   # chunks between beats of scales
    per_tile = groups * tile * (1 if packed else 2)
    low, high, totals, shifts = _spread(q, exponents, packed, tile)
    row_scales = stream.view(np.float32)
    values = np.empty(TILES * per_tile, np.int64)
    for block in range(-(-rows // block_rows)):
        base = block * block_beats * beat_bytes
        for m in range(columns):
            first, chunk = m * (per_tile + QUAD - 1), 0
            scales = base + beat_bytes
            for start in range(0, TILES * per_tile, run):
                at = scales + beat_bytes
                count = min(run, TILES * per_tile - start)
                for n in range(0, count, QUAD):
                    if packed:
                        _u4_quad(stream, at + n * CHUNK, scales + 2 * n, low, high, totals, shifts,
                                 first + chunk, centre_shift, tile, values, start + n)
                    else:
                        _s8_quad(stream, at + n * CHUNK, scales + (n // 2 & -tile), low, high, totals,
                                 shifts, first + chunk, centre_shift, tile, values, start + n)
                    chunk += QUAD
                    while chunk >= per_tile:
                        chunk -= per_tile
                scales = at + count * CHUNK
            exponent = _largest(exponents[m]) - (127 + 6 + WINDOW)
            for n in range(min(block_rows, rows - block * block_rows)):
                total = 0
                for i in range(n // tile * per_tile + n % tile, (n // tile + 1) * per_tile, tile):
                    total += values[i]
                scaled = _product(f32(total), _ftz(row_scales[base // 4 + n]))
                out[m * stride + block * block_rows + n] = _shifted(scaled, exponent)


# KV cache

@kernel
def attend(memory, at, length, q, exponents):
    """Attend to the `length` first positions of the KV head at byte `at` of DRAM.

    `q` and `exponents`, and the results, are :func:`sw_ref.attention.attend`'s.
    """
    queries, dim = q.shape
    block_bytes = UNIT_BYTES + 2 * KV_BLOCK * dim
    limit = 1 << SCORE_BITS - 1
    numerators, denominators = np.empty((queries, dim), np.float32), np.empty(queries, np.float32)
    table, whole = np.empty(BLOCK, np.int64), np.empty(BLOCK, np.int64)
    lifted, numerator, added = np.empty(BLOCK, np.int64), np.empty(dim, np.int64), np.empty(dim, np.int32)
    for n in range(queries):
        top, lifted_top, denominator = EMPTY, EMPTY, 0
        numerator[:] = 0
        for start in range(0, length, BLOCK):
            block = memory[at + start // KV_BLOCK * block_bytes:][:block_bytes]
            scale = block[:UNIT_BYTES].reshape(2, KV_BLOCK)
            lines = block[UNIT_BYTES:].view(np.int8).reshape(2, KV_BLOCK, dim)
            count = min(BLOCK, length - start)
            new_top, new_lifted = top, lifted_top
            for p in range(count):
                dot = 0
                for i in range(dim):
                    dot += q[n, i] * lines[0, p, i]
                shift = np.int64(exponents[n]) + scale[0, p] - 264
                score = (dot << min(max(shift, 0), 24)) >> min(max(-shift, 0), 40)
                score = min(max(score, -limit), limit - 1)
                table[p], whole[p] = EXP2[score & (1 << FRACTION) - 1], score >> FRACTION
                lifted[p] = whole[p] + scale[1, p]
                new_top, new_lifted = max(new_top, whole[p]), max(new_lifted, lifted[p])
            denominator >>= min(new_top - top, SHIFT_LIMIT)
            for i in range(dim):
                numerator[i] >>= min(new_lifted - lifted_top, SHIFT_LIMIT)
            top, lifted_top = new_top, new_lifted
            added[:] = 0  # 32 bits hold a block's sums.
            for p in range(count):
                denominator += table[p] >> min(top - whole[p], SHIFT_LIMIT)
                weight = np.int32(table[p] >> min(lifted_top - lifted[p], SHIFT_LIMIT))
                for i in range(dim):
                    added[i] += weight * lines[1, p, i]
            for i in range(dim):
                numerator[i] += added[i]
        for i in range(dim):
            numerators[n, i] = _shifted(f32(numerator[i]), lifted_top - top - 133)
        denominators[n] = denominator
    return numerators, denominators
