"""The packed formats: against a packer written from :mod:`rtl.formats`' description alone."""

import struct

import numpy as np
import pytest

from rtl.config import UNIT_BYTES
from rtl.formats import (ACC_BITS, BEATS_PER_GROUP, SCALE_RUN, WeightFormat, block_beats, integers,
                         pack, stream_units, sum_bits, unpack)


BEATS = pytest.mark.parametrize("beat_bytes", [16, 32, 64])
FORMATS = pytest.mark.parametrize("fmt", WeightFormat, ids=lambda fmt: fmt.name)
# One row and group; a block and a row more; no multiple of a scale run; a whole number of blocks.
SIZES = pytest.mark.parametrize("rows, groups", [(1, 1), (5, 3), (17, 2), (33, 9), (64, 4)])


def matrix(fmt, rows, groups, seed=7):
    """Random codes, scale, centre and row_scale, with the extremes of each."""
    rng = np.random.default_rng(seed)

    def ends(low, high, *shape, dtype):
        values = rng.integers(low, high + 1, shape)
        values.flat[0], values.flat[-1] = low, high
        return values.astype(dtype)

    codes = ends(0, 15, rows, groups * 32, dtype=np.uint8) if fmt == WeightFormat.U4 \
        else ends(-128, 127, rows, groups * 32, dtype=np.int8)
    scale = ends(0, 255, rows, groups, dtype=np.uint8)
    centre = ends(-128, 127, rows, groups, dtype=np.int8)
    row_scale = rng.standard_normal(rows).astype(np.float32)
    return codes, scale, centre, row_scale


def slow_pack(fmt, codes, scale, centre, row_scale, beat_bytes):
    """One byte after the other, in the words of the description."""
    rows, groups = scale.shape
    side, block_rows = beat_bytes // 16, beat_bytes // 4
    out = bytearray()

    def at(array, row, *index):
        return int(array[row, *index]) & 0xff if row < rows else 0

    for block in range(0, rows, block_rows):
        for row in range(block, block + block_rows):
            out += struct.pack("<f", row_scale[row] if row < rows else 0)
        steps = [(tile, group) for tile in range(block, block + block_rows, side)
                 for group in range(groups)]
        run = SCALE_RUN[fmt] // BEATS_PER_GROUP[fmt]  # groups that a scale beat serves
        for start in range(0, len(steps), run):
            scales = bytearray()
            for tile, group in steps[start:start + run]:
                for row in range(tile, tile + side):
                    scales.append(at(scale, row, group))
                    if fmt == WeightFormat.U4:
                        scales.append(at(centre, row, group))
            out += scales.ljust(beat_bytes, b"\0")
            for tile, group in steps[start:start + run]:
                if fmt == WeightFormat.U4:
                    for row in range(tile, tile + side):
                        for n in range(32 * group, 32 * group + 16):
                            out.append(at(codes, row, n) | at(codes, row, n + 16) << 4)
                else:
                    for half in (0, 16):
                        for row in range(tile, tile + side):
                            for n in range(32 * group + half, 32 * group + half + 16):
                                out.append(at(codes, row, n))
        if fmt == WeightFormat.S8:
            out += bytes(-len(out) % UNIT_BYTES)
    return bytes(out + bytes(-len(out) % UNIT_BYTES))


@FORMATS
@BEATS
@SIZES
def test_pack_is_as_described(fmt, beat_bytes, rows, groups):
    parts = matrix(fmt, rows, groups)
    assert pack(fmt, *parts, beat_bytes) == slow_pack(fmt, *parts, beat_bytes)


@FORMATS
@BEATS
@SIZES
def test_round_trip(fmt, beat_bytes, rows, groups):
    codes, scale, centre, row_scale = matrix(fmt, rows, groups)
    data = pack(fmt, codes, scale, centre, row_scale, beat_bytes)
    back = unpack(fmt, data, rows, groups, beat_bytes)
    if fmt == WeightFormat.S8:
        centre = np.zeros_like(centre)
    for ours, theirs in zip((codes, scale, centre, row_scale), back):
        assert ours.dtype == theirs.dtype
        np.testing.assert_array_equal(ours, theirs)


@FORMATS
@BEATS
@pytest.mark.parametrize("rows", range(1, 36))
@pytest.mark.parametrize("groups", [1, 7])
def test_size(fmt, beat_bytes, rows, groups):
    data = pack(fmt, *matrix(fmt, rows, groups), beat_bytes)
    assert len(data) == stream_units(fmt, rows, groups, beat_bytes) * UNIT_BYTES


@BEATS
def test_a_block_of_s8_is_whole_units(beat_bytes):
    # The embedding of a token is fetched by its block's address.
    for groups in range(1, 40):
        assert block_beats(WeightFormat.S8, groups, beat_bytes) * beat_bytes % UNIT_BYTES == 0


@FORMATS
@BEATS
def test_padding_is_zero(fmt, beat_bytes):
    """Rows that do not exist weigh nothing, whatever the core makes of them."""
    rows, groups = beat_bytes // 4 + 1, 3
    data = pack(fmt, *matrix(fmt, rows, groups), beat_bytes)
    padded = -(-rows // (beat_bytes // 4)) * (beat_bytes // 4)
    codes, scale, centre, row_scale = unpack(fmt, data, padded, groups, beat_bytes)
    for part in (codes, scale, centre, row_scale):
        assert not part[rows:].any()


def test_integers():
    rng = np.random.default_rng(9)
    for fmt in WeightFormat:
        codes, scale, centre, _ = matrix(fmt, 6, 4)
        shift = int(rng.integers(8))
        got = integers(fmt, codes, scale, centre, shift)
        for n, k in np.ndindex(codes.shape):
            c, s, z = int(codes[n, k]), int(scale[n, k // 32]), int(centre[n, k // 32])
            assert got[n, k] == ((2 * c - 15) * s + z * 2 ** shift if fmt == WeightFormat.U4
                                 else c * s)


def test_integers_have_16_bits():
    # What :func:`sw_ref.numerics.linear` builds its proof of exact sums upon.
    ones = np.ones((1, 32), np.uint8)
    scale, centre = np.full((1, 1), 255, np.uint8), np.full((1, 1), -128, np.int8)
    assert abs(integers(WeightFormat.U4, 0 * ones, scale, centre, 7)).max() < 1 << 15
    assert abs(integers(WeightFormat.S8, (128 * ones).view(np.int8), scale, centre, 0)).max() < 1 << 15


@FORMATS
def test_depth_wrong(fmt):
    codes = np.zeros((4, 33), np.uint8 if fmt == WeightFormat.U4 else np.int8)
    with pytest.raises(ValueError, match=r"^K must be a multiple of 32, not 33$"):
        pack(fmt, codes, None, None, None, 16)


@FORMATS
def test_worst_sum_fits_the_bits_that_are_said(fmt):
    groups, shift, window = 48, 3, 15
    code = np.full((1, groups * 32), -128 if fmt == WeightFormat.S8 else 15)
    weight = integers(fmt, code, np.full((1, groups), 255), np.full((1, groups), 127), shift, np.int64)
    worst = int(np.abs(weight).sum()) * 127 << window
    assert worst < 1 << sum_bits(fmt, groups, shift, window) - 1 <= 1 << ACC_BITS - 1
    assert worst >= 1 << sum_bits(fmt, groups, shift, window) - 3   # and it is no idle bound
