"""The packed formats: against a packer written from :mod:`rtl.spec.formats`' description alone."""

import struct

import numpy as np
import pytest

from rtl.spec.config import PATTERNS, UNIT_BYTES
from rtl.spec.formats import (
    FORMATS as REGISTERED,
    WeightFormat,
    block_beats,
    integers,
    pack,
    stream_units,
    sum_bits,
    unpack,
)
from rtl.spec.limits import ACC_BITS


U4, S8, U1, U2, U3, TERNARY, SPARSE4, SPARSE8 = (
    WeightFormat[name] for name in ("U4", "S8", "U1", "U2", "U3", "TERNARY", "SPARSE4", "SPARSE8")
)
U5, S6, FP4, FP4_16, IQ4 = (WeightFormat[n] for n in ("U5", "S6", "FP4", "FP4_16", "IQ4"))
ODD = {U1: 1, U2: 2, U3: 3, U4: 4, U5: 5}  # odd grids, and their codes' bits
SIXTEEN = S6, FP4_16  # groups of 16
NIBBLES = {U4: 0, U5: 1, S6: 2, FP4: 0, FP4_16: 0, IQ4: 0}  # and the bits beside them
# Rows of a step, times N.
WIDTH = {S8: 1, U3: 1, U2: 2, TERNARY: 2, U1: 4} | dict.fromkeys(NIBBLES, 1)
GEAR = {U3: 4, TERNARY: 5}  # steps of a run
RANGES = {S6: (-32, 31), TERNARY: (-1, 1), SPARSE4: (-8, 7), S8: (-128, 127), SPARSE8: (-128, 127)}
RANGES |= {fmt: (0, 15) for fmt in (FP4, FP4_16, IQ4)}
RANGES |= {fmt: (0, 2**bits - 1) for fmt, bits in ODD.items()}
# As llama.cpp has them (kvalues_mxfp4, kvalues_iq4nl).
E2M1 = [0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12]
IQ4_NL = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113]
BOOKS = {FP4: E2M1, FP4_16: E2M1, IQ4: IQ4_NL}
SCALES = {S6: (-128, 127), IQ4: (-128, 127)}  # of others bytes without a sign
WORST = {FP4: 7, FP4_16: 15, S6: -32, IQ4: 0}  # code whose integer is largest; of others the least

BEATS = pytest.mark.parametrize("beat_bytes", [16, 32, 64])
# Those that are described here; test_format_registry.py tries all.
FORMATS = pytest.mark.parametrize("fmt", [*WIDTH, SPARSE4, SPARSE8], ids=lambda fmt: fmt.name)
DENSE = pytest.mark.parametrize("fmt", WIDTH, ids=lambda fmt: fmt.name)
# One row and group; a block and a row more; no multiple of a scale run; a whole number of blocks;
# every remainder of a gear's run, with and without runs before it.
SIZES = pytest.mark.parametrize(
    "rows, groups",
    [(1, 1), (5, 3), (17, 2), (33, 9), (64, 4), *((6, groups) for groups in (*range(1, 12), 18))],
)


def matrix(fmt, rows, groups, seed=7):
    """Random codes, scale, centre and row_scale, with the extremes of each."""
    rng = np.random.default_rng(seed)

    def ends(low, high, *shape, dtype):
        values = rng.integers(low, high + 1, shape)
        values.flat[0], values.flat[-1] = low, high
        return values.astype(dtype)

    low, high = RANGES[fmt]
    codes = ends(low, high, rows, groups * 32, dtype=np.int8 if low else np.uint8)
    low, high = SCALES.get(fmt, (0, 255))
    halves = 2 if fmt in SIXTEEN else 1
    scale = ends(low, high, rows, groups * halves, dtype=np.int8 if low else np.uint8)
    centre = ends(-128, 127, rows, groups, dtype=np.int8)
    row_scale = rng.standard_normal(rows).astype(np.float32)
    return codes, scale, centre, row_scale


def bit_bytes(code, bit):
    """One bit of each of 32 codes."""
    return [sum((code[8 * n + place] >> bit & 1) << place for place in range(8)) for n in range(4)]


def trit_byte(first, second, third, fourth, fifth):
    """Five base-3 digits: v / 243, rounded up to a whole number of 256ths."""
    value = (((first * 3 + second) * 3 + third) * 3 + fourth) * 3 + fifth
    return -(-256 * value // 243)


def high_bits(fmt, code):
    """Bits of 32 codes beyond their nibbles: of S6 two of a code side by side."""
    if fmt == U5:
        return bit_bytes(code, 4)
    return [
        sum((code[4 * n + place] >> 4 & 3) << 2 * place for place in range(4)) for n in range(8)
    ]


def row_bytes(fmt, group, groups, code):
    """What a row has in the beat of the step of a group; `code(g)` are the row's 32 codes of a
    group.
    """
    own = code(group)
    if fmt in NIBBLES:
        return [own[k] & 15 | (own[16 + k] & 15) << 4 for k in range(16)]
    if fmt in (U1, U2):
        return sum((bit_bytes(own, bit) for bit in range(ODD[fmt])), [])
    place = group % GEAR[fmt]  # of this step in its run
    carried = group - place + GEAR[fmt] - 1  # the step without a beat of its own
    extra = code(carried) if carried < groups else None
    if fmt == U3:
        return (
            bit_bytes(own, 0)
            + bit_bytes(own, 1)
            + bit_bytes(own, 2)
            + (bit_bytes(extra, place) if extra else [0] * 4)
        )
    return [
        trit_byte(
            *(t + 1 for t in own[4 * j : 4 * j + 4]), extra[4 * j + place] + 1 if extra else 0
        )
        for j in range(8)
    ]


def slow_pack(fmt, codes, scale, centre, row_scale, beat_bytes):
    """One byte after the other, in the words of the description."""
    rows, groups = centre.shape
    side, block_rows = WIDTH[fmt] * beat_bytes // 16, beat_bytes // 4
    out = bytearray()

    def code(row, group):
        return (
            [int(c) for c in codes[row, 32 * group : 32 * group + 32]] if row < rows else [0] * 32
        )

    def at(array, row, group):
        return int(array[row, group]) & 0xFF if row < rows else 0

    for block in range(0, rows, block_rows):
        for row in range(block, block + block_rows):
            out += struct.pack("<f", row_scale[row] if row < rows else 0)
        steps = [
            (range(tile, tile + side), group)
            for tile in range(block, block + block_rows, side)
            for group in range(groups)
        ]
        # Groups whose scales, or scales and centres, fill a beat.
        kinds = 2 if fmt in ODD or fmt in SIXTEEN else 1
        run, high_run = beat_bytes // (kinds * side), 4 // (NIBBLES.get(fmt) or 4)
        for number, (tile, group) in enumerate(steps):
            if fmt != TERNARY and number % run == 0:
                scales = bytearray()
                for other, its_group in steps[number : number + run]:
                    for row in other:
                        first = its_group * (2 if fmt in SIXTEEN else 1)
                        scales.append(at(scale, row, first))
                        if fmt in SIXTEEN:
                            scales.append(at(scale, row, first + 1))
                        if fmt in ODD:
                            scales.append(at(centre, row, its_group))
                out += scales.ljust(beat_bytes, b"\0")
            if NIBBLES.get(fmt) and number % high_run == 0:
                of_run = steps[number : number + high_run]
                for place in range(side):
                    own = [high_bits(fmt, code(other[place], g)) for other, g in of_run]
                    out += bytes(sum(own, [])).ljust(16, b"\0")
            if fmt == S8:
                for half in (0, 16):
                    for row in tile:
                        out += bytes(c & 0xFF for c in code(row, group)[half : half + 16])
            elif fmt not in GEAR or group % GEAR[fmt] != GEAR[fmt] - 1:
                for row in tile:
                    out += bytes(row_bytes(fmt, group, groups, lambda g: code(row, g)))
    return bytes(out + bytes(-len(out) % UNIT_BYTES))


@DENSE
@BEATS
@SIZES
def test_pack_is_as_described(fmt, beat_bytes, rows, groups):
    check_pack(REGISTERED[fmt], beat_bytes, rows, groups)


def check_pack(its, beat_bytes, rows, groups):
    parts = matrix(its.fmt, rows, groups)
    assert its.pack(*parts, beat_bytes) == slow_pack(its.fmt, *parts, beat_bytes)


@DENSE
@BEATS
@SIZES
def test_round_trip(fmt, beat_bytes, rows, groups):
    codes, scale, centre, row_scale = matrix(fmt, rows, groups)
    data = pack(fmt, codes, scale, centre, row_scale, beat_bytes)
    # What follows the matrix in memory is none of its business.
    back = unpack(fmt, data + bytes([255] * 64), rows, groups, beat_bytes)
    if fmt not in ODD:
        centre = np.zeros_like(centre)
    if fmt == TERNARY:
        scale = np.ones_like(scale)
    for ours, theirs in zip((codes, scale, centre, row_scale), back, strict=True):
        assert ours.dtype == theirs.dtype
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("fmt", [SPARSE4, SPARSE8], ids=lambda fmt: fmt.name)
def test_sparse_round_trip(fmt):
    codes, scale, centre, row_scale = matrix(fmt, 35, 2)
    codes[:, 2::3] = 0
    for patterns in (PATTERNS, ("2:4",), ()):
        data = pack(fmt, codes, None, None, row_scale, 16, patterns)
        back = unpack(fmt, data, 35, 2, 16)
        for ours, theirs in zip((codes, scale * 0 + 1, centre * 0, row_scale), back, strict=True):
            assert ours.dtype == theirs.dtype
            np.testing.assert_array_equal(ours, theirs)
    assert pack(fmt, codes, None, None, row_scale, 16) == pack(
        fmt, codes, None, None, row_scale, 16, PATTERNS
    )


def test_scales_may_be_missing_where_only_rows_have_them():
    codes, scale, centre, row_scale = matrix(TERNARY, 9, 6)
    assert pack(TERNARY, codes, None, None, row_scale, 32) == pack(
        TERNARY, codes, scale, centre, row_scale, 32
    )


@BEATS
def test_every_trit_byte_gives_its_digits_by_threes(beat_bytes):
    """What the hardware does: the carry of times 3 out of 8 bits is the next digit."""
    rows = 32
    codes, *parts = matrix(TERNARY, rows, 40)
    data = pack(TERNARY, codes, *parts, beat_bytes)
    side, seen, back = beat_bytes // 8, set(), np.zeros_like(codes)
    beats = np.frombuffer(data, np.uint8).reshape(-1, beat_bytes)
    for block in range(rows // (beat_bytes // 4)):
        for tile in range(2):
            for beat in range(32):
                at = block * 65 + 1 + tile * 32 + beat
                for row in range(side):
                    where = (2 * block + tile) * side + row
                    for j, byte in enumerate(beats[at, 8 * row : 8 * row + 8]):
                        trits, rest = [], int(byte)
                        for _ in range(5):
                            trits.append((rest * 3 >> 8) - 1)
                            rest = rest * 3 & 255
                        run, step = divmod(beat, 4)
                        first = 32 * (5 * run + step) + 4 * j
                        back[where, first : first + 4] = trits[:4]
                        back[where, 32 * (5 * run + 4) + 4 * j + step] = trits[4]
                        seen.add(int(byte))
    assert len(seen) == 243
    np.testing.assert_array_equal(back, codes)


@DENSE
@BEATS
@pytest.mark.parametrize("groups", [1, 7])
def test_size(fmt, beat_bytes, groups):
    for rows in range(1, 36):
        data = pack(fmt, *matrix(fmt, rows, groups), beat_bytes)
        assert len(data) == stream_units(fmt, rows, groups, beat_bytes) * UNIT_BYTES, rows


@pytest.mark.parametrize(
    "fmt, beats",
    [
        # Rows, codes of 4 tiles (or 2, or 1) of 60 groups, scales.
        (U4, 1 + 4 * 60 + 30),
        (U5, 1 + 4 * 60 + 30 + 60),  # and the codes' fifth bits
        (S6, 1 + 4 * 60 + 30 + 120),
        (FP4, 1 + 4 * 60 + 15),
        (FP4_16, 1 + 4 * 60 + 30),
        (IQ4, 1 + 4 * 60 + 15),
        (U3, 1 + 4 * 45 + 30),
        (U2, 1 + 2 * 60 + 30),
        (U1, 1 + 1 * 60 + 30),
        (TERNARY, 1 + 2 * 48),
        (S8, 1 + 4 * 120 + 15),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
@BEATS
def test_beats_of_a_block(fmt, beats, beat_bytes):
    assert block_beats(fmt, 60, beat_bytes) == beats


@pytest.mark.parametrize(
    "fmt, rows",
    [*WIDTH.items(), (SPARSE4, 16), (SPARSE8, 16)],
    ids=lambda v: getattr(v, "name", ""),
)
@BEATS
def test_rows_of_a_tile(fmt, rows, beat_bytes):
    assert REGISTERED[fmt].tile_rows(beat_bytes) == rows * beat_bytes // 16


@FORMATS
@BEATS
def test_padding_is_zero(fmt, beat_bytes):
    """Rows that do not exist weigh nothing, whatever the core makes of them."""
    rows, groups = beat_bytes // 4 + 1, 3
    data = pack(fmt, *matrix(fmt, rows, groups), beat_bytes)
    # Whole blocks; of sparse formats, whole stripes.
    whole = beat_bytes if fmt in (SPARSE4, SPARSE8) else beat_bytes // 4
    padded = -(-rows // whole) * whole
    assert padded > rows
    codes, scale, centre, row_scale = unpack(fmt, data, padded, groups, beat_bytes)
    assert not row_scale[rows:].any()
    assert not integers(fmt, codes, scale, centre, 7)[rows:].any()
    assert not codes[rows:].any()
    if fmt in WIDTH and fmt != TERNARY:
        assert not scale[rows:].any()
        assert not centre[rows:].any()


@FORMATS
@pytest.mark.parametrize("shift", range(8))
def test_integers(fmt, shift):
    check_integers(REGISTERED[fmt], shift)


def check_integers(its, shift):
    codes, scale, centre, _ = matrix(its.fmt, 6, 4)
    got, fmt = its.integers(codes, scale, centre, shift), its.fmt
    for n, k in np.ndindex(codes.shape):
        c, z = int(codes[n, k]), int(centre[n, k // 32])
        s = int(scale[n, k // (16 if fmt in SIXTEEN else 32)])
        if fmt in ODD:
            want = (2 * c - (2 ** ODD[fmt] - 1)) * s + z * 2**shift
        elif fmt in BOOKS:
            want = BOOKS[fmt][c] * s
        else:
            want = c * s if fmt in (S8, S6) else c
        assert got[n, k] == want


class WrongEntry(type(REGISTERED[IQ4])):
    """90 instead of 89."""

    book = (*IQ4_NL[:14], 90, IQ4_NL[15])


class LostBit(type(REGISTERED[S6])):
    """A code's sixth bit is lost, wherever it is negative."""

    def high_bytes(self, codes):
        return super().high_bytes(codes & 31)


class Swapped(type(REGISTERED[FP4_16])):
    """The upper half's scale comes first."""

    parts = ("upper", "scale")


@pytest.mark.parametrize(
    "wrong, fmt, check",
    [
        (WrongEntry, IQ4, lambda its: check_integers(its, 0)),
        (LostBit, S6, lambda its: check_pack(its, 16, 5, 3)),
        (Swapped, FP4_16, lambda its: check_pack(its, 16, 5, 3)),
    ],
)
def test_a_wrong_format_is_found(wrong, fmt, check):
    check(REGISTERED[fmt])
    with pytest.raises(AssertionError):
        check(wrong(fmt))


@FORMATS
def test_integers_have_16_bits(fmt):
    # What :func:`sw_ref.numerics.linear` builds its proof of exact sums upon.
    codes, scale, centre, _ = matrix(fmt, 2, 1)
    codes[0], codes[1] = codes.min(), codes.max()
    scale[:] = -128 if fmt in SCALES else 255
    for extreme in (-128, 127):
        got = integers(fmt, codes, scale, centre * 0 + extreme, 7)
        assert abs(got).max() < 1 << 15


@FORMATS
def test_depth_wrong(fmt):
    codes = np.zeros((4, 33), np.int8 if RANGES[fmt][0] else np.uint8)
    with pytest.raises(ValueError, match=r"^K must be a multiple of 32, not 33$"):
        pack(fmt, codes, None, None, None, 16)


@FORMATS
# 33 groups: 33 * 127 is just beyond a power of two, so that even weights of 2**n show a bound too
# low.
@pytest.mark.parametrize(
    "groups, shift, window",
    [(48, 3, 15), (1, 0, 0), (1, 7, 0), (33, 0, 3), (63, 5, 9), (64, 0, 15), (1023, 7, 15)],
)
def test_worst_sum_fits_the_bits_that_are_said(fmt, groups, shift, window):
    code = np.full((1, groups * 32), WORST.get(fmt, RANGES[fmt][0]))
    scale = np.full((1, groups * 2 if fmt in SIXTEEN else groups), -128 if fmt in SCALES else 255)
    weight = integers(fmt, code, scale, np.full((1, groups), -128), shift, np.int64)
    worst = int(np.abs(weight).sum()) * 127 << window
    said = sum_bits(fmt, groups, shift, window)
    assert -1 << said - 1 <= -worst and worst < 1 << said - 1  # both signs fit
    assert worst >= 1 << said - 2  # and a bit less would not do
    assert said <= ACC_BITS
