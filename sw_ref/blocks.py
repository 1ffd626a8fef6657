"""Blocks of the packed formats, as :mod:`rtl.spec.formats` lays them out, as the integers that they
stand for.

U1, U2, U3, TERNARY, and nibbles with more bits or a book; :mod:`sw_ref.linear` takes U4 and S8 as
they lie. Integers are in float32, which holds them exactly.
"""

from typing import NamedTuple

import numpy as np

from rtl.spec.formats import FORMATS, WeightFormat
from rtl.spec.numbers import GROUP

from .kernels import kernel
from .numerics import f32


__all__ = [
    "CODES",
    "NIBBLES",
    "Nibbles",
    "block_of_codes",
    "block_of_nibbles",
    "block_of_trits",
    "nibbles_of",
]


CODES = WeightFormat.U1, WeightFormat.U2, WeightFormat.U3
NIBBLES = tuple(WeightFormat[name] for name in ("U5", "S6", "FP4", "FP4_16", "IQ4"))
RUNS = np.array([0, *(FORMATS[fmt].scale_run for fmt in CODES)])  # by the bits of a code
CODE_GEAR, TRIT_GEAR = FORMATS[WeightFormat.U3].gear, FORMATS[WeightFormat.TERNARY].gear
PLANE = GROUP // 8  # Bytes of one bit of a group's codes.
# What the eight bits of a byte add to integers on the odd grid, by plane and byte.
BITS = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1, bitorder="little")
BITS = np.stack([BITS << plane + 1 for plane in range(3)]).astype(np.float32)


def _trit_table():
    """The five trits, -1, 0 or 1, of each byte: the carries of times 3."""
    rest, trits = np.arange(256), []
    for _ in range(TRIT_GEAR):
        trits.append((rest * 3 >> 8) - 1)
        rest = rest * 3 & 255
    return np.stack(trits, 1).astype(np.float32)


TRITS = _trit_table()


class Nibbles(NamedTuple):
    """A format of nibbles, for kernels."""

    high_bits: int
    parts: int  # bytes of a group
    halved: bool  # the second is the scale of elements 16 to 31, otherwise a centre
    signed: bool
    integers: np.ndarray  # float32 (64,), by code


def nibbles_of(fmt):
    """The :class:`Nibbles` of a format; of one that is not among `NIBBLES` an empty one."""
    its, table = FORMATS[fmt], np.zeros(64, np.float32)
    if fmt not in NIBBLES:
        return Nibbles(0, 0, False, False, table)
    table[its.every_code.view(np.uint8) & 63] = its.grid(its.every_code)
    return Nibbles(its.high_bits, len(its.parts), its.group < GROUP, its.signed_scale, table)


@kernel
def _high(stream, at, bits, k):
    """Bits of code k beyond its nibble, in their place; `at` is where the row's lie."""
    if bits == 1:
        return (stream[at + (k >> 3)] >> (k & 7) & 1) << 4
    return (stream[at + (k >> 2)] >> 2 * (k & 3) & 3) << 4 if bits == 2 else 0


@kernel
def block_of_nibbles(stream, at, its, word_bytes, centre_shift, integers):
    """Read the block of a :class:`Nibbles` at byte `at` to `integers` (rows, K), float32."""
    rows, depth = integers.shape
    values, groups, width = integers.reshape(-1), depth // GROUP, word_bytes // 16
    scale_run, high_run = 16 // its.parts, 4 // its.high_bits if its.high_bits else 1
    scales, highs, at = at, at, at + word_bytes
    for step in range(rows // width * groups):
        tile, group = divmod(step, groups)
        if step % scale_run == 0:
            scales, at = at, at + word_bytes
        if its.high_bits and step % high_run == 0:
            highs, at = at, at + word_bytes
        for row in range(width):
            first = (tile * width + row) * depth + group * GROUP
            more = highs + 16 * row + 4 * its.high_bits * (step % high_run)
            for i in range(16):
                byte = stream[at + 16 * row + i]
                low, high = np.int64(byte & 15), np.int64(byte >> 4)
                low += _high(stream, more, its.high_bits, i)
                high += _high(stream, more, its.high_bits, 16 + i)
                values[first + i], values[first + 16 + i] = its.integers[low], its.integers[high]
            own = scales + its.parts * (step % scale_run * width + row)
            scale = f32(np.int8(stream[own]) if its.signed else stream[own])
            upper, centre = scale, f32(0)
            if its.halved:
                upper = f32(np.int8(stream[own + 1]) if its.signed else stream[own + 1])
            elif its.parts == 2:
                centre = f32(np.int64(np.int8(stream[own + 1])) << centre_shift)
            for i in range(first, first + 16):
                values[i] = values[i] * scale + centre
                values[i + 16] = values[i + 16] * upper + centre
        at += word_bytes


@kernel
def _add_plane(stream, at, plane, values, first):
    """Add a plane of a group's codes to its integers, values[first:]."""
    for byte in range(PLANE):
        value = stream[at + byte]
        for i in range(8):
            values[first + 8 * byte + i] += BITS[plane, value, i]


@kernel
def block_of_codes(stream, at, bits, word_bytes, centre_shift, integers):
    """Read the block of U1, U2 or U3 (`bits`) at byte `at` to `integers` (rows, K), float32."""
    rows, depth = integers.shape
    values, groups, top = integers.reshape(-1), depth // GROUP, (1 << bits) - 1
    # A step has as many rows as a beat has room for; those of three planes leave a fourth of it.
    row_bytes = 16 if bits == 3 else bits * PLANE
    width = word_bytes // row_bytes
    before = np.zeros(CODE_GEAR - 1, np.int64)  # the beats of codes before, the last one last
    scales, at = at, at + word_bytes
    for step in range(rows // width * groups):
        tile, group = divmod(step, groups)
        place = step % RUNS[bits]
        if place == 0:
            scales, at = at, at + word_bytes
        carried = bits == 3 and group % CODE_GEAR == CODE_GEAR - 1
        if not carried:
            before[:-1] = before[1:]
            before[-1] = at
            at += word_bytes
        for row in range(width):
            first = (tile * width + row) * depth + group * GROUP
            values[first : first + GROUP] = f32(-top)
            for plane in range(bits):
                if carried:
                    _add_plane(
                        stream, before[plane] + row * row_bytes + bits * PLANE, plane, values, first
                    )
                else:
                    _add_plane(
                        stream, before[-1] + row * row_bytes + plane * PLANE, plane, values, first
                    )
            pair = scales + 2 * (place * width + row)
            scale, centre = (
                f32(stream[pair]),
                f32(np.int64(np.int8(stream[pair + 1])) << centre_shift),
            )
            for i in range(first, first + GROUP):
                values[i] = values[i] * scale + centre


@kernel
def block_of_trits(stream, at, word_bytes, integers):
    """Read the block of TERNARY at byte `at` to `integers` (rows, K), float32."""
    rows, depth = integers.shape
    values, row_bytes = integers.reshape(-1), GROUP // (TRIT_GEAR - 1)
    width = word_bytes // row_bytes
    before = np.zeros(TRIT_GEAR - 1, np.int64)
    at += word_bytes
    for tile in range(rows // width):
        for group in range(depth // GROUP):
            carried = group % TRIT_GEAR == TRIT_GEAR - 1
            if not carried:
                before[:-1] = before[1:]
                before[-1] = at
                at += word_bytes
            for row in range(width):
                first = (tile * width + row) * depth + group * GROUP
                for byte in range(row_bytes):
                    for n in range(TRIT_GEAR - 1):
                        if carried:
                            trit = TRITS[stream[before[n] + row * row_bytes + byte], TRIT_GEAR - 1]
                        else:
                            trit = TRITS[stream[before[-1] + row * row_bytes + byte], n]
                        values[first + 4 * byte + n] = trit
