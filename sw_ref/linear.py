"""Integer products straight from the packed weights in DRAM, as the linear unit sees them: the same
bits as :func:`sw_ref.numerics.linear`, which defines them, at the speed of memory.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from rtl.spec.formats import FORMATS, WeightFormat
from rtl.spec.numbers import GROUP, TILES

from .blocks import nibbles_of
from .decoded import decoded, decodes
from .kernels import kernel, largest, product, shifted, value
from .numerics import WINDOW, f32, linear as define
from .sparse import BLOCK, EVERY_MODE, LANE, ROWS, modes_of, stripe, stripes


__all__ = ["places", "sound", "linear"]


QUADS = WeightFormat.U4, WeightFormat.S8  # Multiplied as they lie; other formats are decoded first.
U4_RUN, S8_RUN = (FORMATS[fmt].scale_run for fmt in QUADS)
CHUNK = GROUP // 2  # Bytes of a row in a beat: a group's nibbles (U4), or half a group (S8).
QUAD = 4  # Chunks taken at a time.
CORES = len(os.sched_getaffinity(0))
SHARE = (
    1 << 19
)  # Products that a thread is worth: handing them over takes as long as a tenth of them.


@cache
def _threads(process):
    """Threads beside the calling one; of this process, since a fork has none of its parent's."""
    return ThreadPoolExecutor(CORES)


def places(stream, fmt, rows, groups, word_bytes, modes=EVERY_MODE):
    """Bytes at which the blocks of a packed matrix begin, and at which the last one ends, int64.

    Sparse matrices have stripes for blocks, as long as their own headers say: `stream` may go on
    behind the matrix. Raises :exc:`ValueError` if it does not hold all of it, or has blocks of
    other modes than :func:`sw_ref.sparse.modes_of` gives.
    """
    its = FORMATS[fmt]
    if its.sparse:
        return stripes(stream, its.code_bits, rows, groups * (GROUP // BLOCK), word_bytes, modes)
    count, size = (
        -(-rows // (TILES * word_bytes // CHUNK)),
        its.block_beats(groups, word_bytes) * word_bytes,
    )
    if count * size > len(stream):
        raise ValueError("the weight stream holds less than the matrix")
    return np.arange(count + 1) * size


def sound(stream, fmt, rows, groups, config):
    """Bytes of a sparse matrix, every block of which hardware reads as :func:`linear` does.

    Raises :exc:`ValueError` if there is one that it does not.
    """
    at = places(stream, fmt, rows, groups, config.word_bytes, modes_of(config.patterns))
    integers = np.empty((ROWS * config.word_bytes // LANE, groups * GROUP), np.float32)
    for start in at[:-1]:
        stripe(stream, start, FORMATS[fmt].code_bits, config.word_bytes, integers)
    return int(at[-1])


def linear(stream, fmt, rows, word_bytes, centre_shift, q, exponents, out, stride):
    """Product of a matrix, as it lies in DRAM, and quantized activation vectors.

    Parameters
    ----------
    stream : uint8
        What :func:`rtl.spec.formats.pack` made of a matrix of `rows` rows in the format `fmt`, and
        whatever follows.
    q, exponents : int16 (M, K / 32, 32), uint8 (M, K / 32)
        As :func:`sw_ref.numerics.linear`'s.
    out : float32
        Element n of column m's result becomes out[m * stride + n].

    Returns the number of bytes that the matrix takes of `stream`.
    """
    columns, groups = exponents.shape
    at = places(stream, fmt, rows, groups, word_bytes)
    blocks = len(at) - 1
    shares = min(CORES, blocks, rows * q.size // SHARE) or 1
    edges = [blocks * n // shares for n in range(shares + 1)]

    its = FORMATS[fmt]
    if fmt not in QUADS and not decodes(fmt):
        _plain(stream, fmt, rows, word_bytes, centre_shift, q, exponents, out, stride)
        return int(at[-1])

    def share(begin, end):
        if fmt in QUADS:
            _blocks(
                stream,
                fmt == WeightFormat.U4,
                begin,
                end,
                rows,
                word_bytes,
                its.block_beats(groups, word_bytes),
                centre_shift,
                q,
                exponents,
                out,
                stride,
            )
        else:
            decoded(
                stream,
                at,
                its.code_bits,
                its.sparse,
                nibbles_of(fmt),
                begin,
                end,
                rows,
                word_bytes,
                centre_shift,
                q,
                exponents,
                out,
                stride,
            )

    others = [_threads(os.getpid()).submit(share, *edge) for edge in zip(edges[1:], edges[2:])]
    share(*edges[:2])
    for other in others:
        other.result()
    return int(at[-1])


def _plain(stream, fmt, rows, word_bytes, centre_shift, q, exponents, out, stride):
    """The same, for a format that has no kernel here: as its class unpacks it, as numpy multiplies
    it.
    """
    columns, groups = exponents.shape
    *parts, row_scale = FORMATS[fmt].unpack(stream, rows, groups, word_bytes)
    weight = FORMATS[fmt].integers(*parts, centre_shift)
    result = define(weight, row_scale, q.reshape(columns, -1), exponents)
    for m in range(columns):
        out[m * stride : m * stride + rows] = result[m]


def _quad(packed) -> Any:
    """Function that takes four chunks of the weight stream, codes[at + 16 * n + i], and writes to
    values[to:] each one's share of its row's sum: of a group (U4, `packed`) or half of one (S8).

    `low`, `high`, `totals` and `shifts` are :func:`_spread`'s, `place` is the first chunk's in
    them. It is written in vector operations: LLVM does not find them in loops as short as these.
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
                builder.mul(builder.zext(builder.lshr(codes, constant(codes, 4)), low.type), high),
            )
        else:
            products = builder.mul(builder.sext(codes, low.type), low)
        sums = builder.sext(products, lanes_of(lanes, 32))
        while (count := sums.type.count) > QUAD:
            sums = builder.add(pick(sums, *range(0, count, 2)), pick(sums, *range(1, count, 2)))
        if packed:
            pairs = load(0, scales, 2 * QUAD)
            scale, centre = pick(pairs, 0, 2, 4, 6), builder.sext(pick(pairs, 1, 3, 5, 7), int32)
            shift = pick(
                builder.insert_element(
                    ir.Constant(int32, None),
                    builder.trunc(centre_shift, int32.element),
                    int32.element(0),
                ),
                0,
                0,
                0,
                0,
            )
            totals = load(5, place, QUAD)
            sums = builder.sub(
                builder.mul(sums, constant(sums, 2)), builder.mul(totals, constant(totals, 15))
            )
            of_centre = builder.mul(totals, builder.shl(centre, shift))
        else:
            # Halves of a group are as far apart as there are rows in a tile.
            scale, of_centre = load(0, scales, QUAD), ir.Constant(int32, None)
            for rows, order in (2, (0, 1, 0, 1)), (1, (0, 0, 1, 1)):
                scale = builder.select(
                    builder.icmp_signed("==", tile, tile.type(rows)), pick(scale, *order), scale
                )
        sums = builder.add(builder.mul(sums, builder.zext(scale, int32)), of_centre)
        values = builder.shl(builder.sext(sums, lanes_of(QUAD, 64)), load(6, place, QUAD))
        builder.store(values, pointer(10, to, QUAD), align=8)
        return context.get_dummy_value()

    @intrinsic
    def quad(
        ctx, codes, at, scales, low, high, totals, shifts, place, centre_shift, tile, values, to
    ):
        at = types.intp
        return types.void(codes, at, at, low, high, totals, shifts, at, at, at, values, at), emit

    return quad


_u4_quad, _s8_quad = _quad(packed=True), _quad(packed=False)


@kernel
def _spread(q, exponents, packed, tile):
    """What each chunk of a tile of rows is multiplied with, chunks of all columns one after the
    other.

    That is: the activations for the low nibbles (U4) or for the bytes (S8), those for the high
    nibbles, the sum of both, and the shift. A dropped group's are zeros. Each column has as many
    chunks as a tile, and then the first ones again, since quads may begin in one and end in the
    next.
    """
    columns, groups = exponents.shape
    halves = 1 if packed else 2  # chunks per group and row
    chunks = groups * halves * tile
    width = chunks + QUAD - 1
    low, high = (
        np.zeros(columns * width * CHUNK, np.int16),
        np.zeros(columns * width * CHUNK, np.int16),
    )
    totals, shifts = np.zeros(columns * width, np.int32), np.zeros(columns * width, np.int64)
    for m in range(columns):
        top = largest(exponents[m])
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
def _blocks(
    stream,
    packed,
    begin,
    end,
    rows,
    word_bytes,
    block_beats,
    centre_shift,
    q,
    exponents,
    out,
    stride,
):
    """Do blocks `begin` to `end` of :func:`linear`'s."""
    columns, groups = exponents.shape
    tile = word_bytes // CHUNK
    block_rows = TILES * tile
    run = (U4_RUN if packed else S8_RUN) * tile  # chunks between beats of scales
    per_tile = groups * tile * (1 if packed else 2)
    low, high, totals, shifts = _spread(q, exponents, packed, tile)
    row_scales = stream.view(np.float32)
    values = np.empty(TILES * per_tile, np.int64)
    for block in range(begin, end):
        base = block * block_beats * word_bytes
        for m in range(columns):
            first, chunk = m * (per_tile + QUAD - 1), 0
            scales = base + word_bytes
            for start in range(0, TILES * per_tile, run):
                at = scales + word_bytes
                count = min(run, TILES * per_tile - start)
                for n in range(0, count, QUAD):
                    if packed:
                        _u4_quad(
                            stream,
                            at + n * CHUNK,
                            scales + 2 * n,
                            low,
                            high,
                            totals,
                            shifts,
                            first + chunk,
                            centre_shift,
                            tile,
                            values,
                            start + n,
                        )
                    else:
                        _s8_quad(
                            stream,
                            at + n * CHUNK,
                            scales + (n // 2 & -tile),
                            low,
                            high,
                            totals,
                            shifts,
                            first + chunk,
                            centre_shift,
                            tile,
                            values,
                            start + n,
                        )
                    chunk += QUAD
                    while chunk >= per_tile:
                        chunk -= per_tile
                scales = at + count * CHUNK
            exponent = largest(exponents[m]) - (127 + 6 + WINDOW)
            for n in range(min(block_rows, rows - block * block_rows)):
                total = 0
                for i in range(n // tile * per_tile + n % tile, (n // tile + 1) * per_tile, tile):
                    total += values[i]
                scaled = product(f32(total), value(row_scales[base // 4 + n]))
                out[m * stride + block * block_rows + n] = shifted(scaled, exponent)
