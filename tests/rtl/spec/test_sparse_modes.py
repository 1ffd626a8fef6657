"""The sparse formats: against a packer and an unpacker written from their description alone."""

import itertools

import numpy as np
import pytest

from rtl.spec.config import PATTERNS, UNIT_BYTES
from rtl.spec.formats import FORMATS, pack, unpack
from rtl.spec.isa import WeightFormat
from rtl.spec.sparse_modes import BLOCK, INDEX_BITS, MODES, SLOTS, Mode

from .slow_sparse_modes import (
    CODE_BITS,
    NUMBERS,
    PATTERN_OF,
    matrix,
    nonzero_row,
    slow_beats,
    slow_block,
    slow_cheapest,
    slow_pack,
    slow_unpack,
)


SPARSE4, SPARSE8 = WeightFormat.SPARSE4, WeightFormat.SPARSE8
ALL_PATTERNS = [some for n in range(5) for some in itertools.combinations(PATTERNS, n)]

BOTH = pytest.mark.parametrize("fmt", CODE_BITS, ids=lambda fmt: fmt.name)
BEATS = pytest.mark.parametrize("beat_bytes", [16, 32, 64])
# Rows beside a stripe's edge, as a function of the rows of a stripe.
ROWS = pytest.mark.parametrize(
    "rows",
    [lambda s: 1, lambda s: s, lambda s: s + 1, lambda s: 2 * s + 5],
    ids=["1", "stripe", "stripe+1", "2stripe+5"],
)


def check(fmt, codes, row_scale, beat_bytes, patterns=PATTERNS):
    """Compare a matrix's bytes, both ways back, and its size."""
    rows, depth = codes.shape
    data = pack(fmt, codes, None, None, row_scale, beat_bytes, patterns)
    beats = slow_beats(fmt, codes, row_scale, beat_bytes, patterns)
    assert data == slow_pack(fmt, codes, row_scale, beat_bytes, patterns)
    # What follows the matrix in memory is none of its business.
    for more in (b"", bytes([255] * 128)):
        for back in (
            unpack(fmt, data + more, rows, depth // 32, beat_bytes)[::3],
            slow_unpack(fmt, data + more, rows, depth, beat_bytes)[:2],
        ):
            for ours, theirs in zip((codes, row_scale), back, strict=True):
                assert ours.dtype == theirs.dtype
                np.testing.assert_array_equal(ours, theirs)
        assert (
            FORMATS[fmt].stream_units(rows, depth // 32, beat_bytes, data + more)
            == len(data) // UNIT_BYTES
        )
        *_, end = FORMATS[fmt].walk(data + more, rows, depth // 32, beat_bytes)
        assert end == (-(-rows // beat_bytes), None, None, len(beats))
    assert slow_unpack(fmt, data, rows, depth, beat_bytes)[2] == len(beats)
    return data


def modes_of(fmt, data, rows, groups, beat_bytes):
    """Number of the mode of each block that is stored, by (stripe, block)."""
    found = FORMATS[fmt].walk(data, rows, groups, beat_bytes)
    return {(stripe, block): int(mode) for stripe, block, mode, _ in found if block is not None}


@pytest.mark.parametrize(
    "mode, numbers",
    [
        (Mode.ZERO, (0, 0, 0)),
        (Mode.N2, (1, 2, 4)),
        (Mode.N4, (2, 4, 4)),
        (Mode.N8, (3, 8, 4)),
        (Mode.DENSE, (4, 16, 0)),
        (Mode.PAIRS, (5, 8, 2)),
    ],
)
def test_modes(mode, numbers):
    assert (mode.value, SLOTS[mode], INDEX_BITS[mode]) == numbers
    if mode:
        assert NUMBERS[mode] == numbers[1:]


def test_patterns():
    assert set(MODES) == set(PATTERNS)
    assert {mode.value: pattern for pattern, mode in MODES.items()} == PATTERN_OF
    assert BLOCK == 16


@pytest.mark.parametrize(
    "fmt, mode, codes, index",
    [
        (SPARSE4, 0, 0, 0),
        (SPARSE4, 1, 1, 1),
        (SPARSE4, 2, 2, 2),
        (SPARSE4, 3, 4, 4),
        (SPARSE4, 4, 8, 0),
        (SPARSE4, 5, 4, 2),
        (SPARSE8, 0, 0, 0),
        (SPARSE8, 1, 2, 1),
        (SPARSE8, 2, 4, 2),
        (SPARSE8, 3, 8, 4),
        (SPARSE8, 4, 16, 0),
        (SPARSE8, 5, 8, 2),
    ],
)
def test_beats(fmt, mode, codes, index):
    mode = Mode(mode)
    assert (FORMATS[fmt].code_beats(mode), FORMATS[fmt].index_beats(mode)) == (codes, index)
    assert FORMATS[fmt].beats_of(mode) == codes + index


@BOTH
@BEATS
@ROWS
@pytest.mark.parametrize("groups", [1, 5])
def test_pack_is_as_described(fmt, beat_bytes, rows, groups):
    rows = rows(beat_bytes)
    check(fmt, *matrix(fmt, rows, groups * 32, beat_bytes), beat_bytes)


@BOTH
@BEATS
@pytest.mark.parametrize("mode", range(6))
def test_each_mode(fmt, beat_bytes, mode):
    """All blocks of one mode, which is the one that is taken, unless another costs no more."""
    codes, row_scale = matrix(fmt, beat_bytes, 128, beat_bytes, seed=mode, modes=[mode])
    modes = modes_of(fmt, check(fmt, codes, row_scale, beat_bytes), beat_bytes, 4, beat_bytes)
    assert modes == ({(0, 0): 1} if mode == 0 else {(0, b): mode for b in range(8)})


@BOTH
@pytest.mark.parametrize("patterns", ALL_PATTERNS, ids="+".join)
def test_patterns_that_hardware_has(fmt, patterns):
    codes, row_scale = matrix(fmt, 37, 160, 16, seed=23)
    data = check(fmt, codes, row_scale, 16, patterns)
    got = set(modes_of(fmt, data, 37, 5, 16).values())
    assert got == {4} | {mode for mode, pattern in PATTERN_OF.items() if pattern in patterns}


@BOTH
@pytest.mark.parametrize("patterns", ALL_PATTERNS, ids="+".join)
def test_cheapest_mode_is_chosen(fmt, patterns):
    """Against all modes that hold a block, tried one after the other."""
    rng, blocks = np.random.default_rng(31), []
    for most in (*range(17), 2, 2, 4, 4, 8, 8, 8):
        blocks.append(
            [
                [
                    nonzero_row(rng.integers(1, 6), rng, False) & (rng.permutation(16) < most)
                    for _ in range(16)
                ]
            ]
        )
    # What only just fits, and only just does not.
    for count in range(17):
        one = np.zeros((1, 16, 16), bool)
        one[0, 15, 16 - count :] = True
        blocks.append(one)
    for quad, count in itertools.product(range(4), (2, 3)):
        one = np.zeros((1, 16, 16), bool)
        one[0, 7] = [n % 4 < 2 for n in range(16)]
        one[0, 7, 4 * quad : 4 * quad + 4] = [n < count for n in range(4)]
        blocks.append(one)
    blocks = np.array(blocks)
    chosen = FORMATS[fmt].choose(blocks[:, 0], patterns)
    for block, mode in zip(blocks, chosen, strict=True):
        want, beats = slow_cheapest(fmt, block.astype(int).tolist(), patterns)
        assert mode == want
        assert FORMATS[fmt].beats_of(Mode(int(mode))) == len(beats)
    assert len(set(chosen.tolist())) == 2 + len(patterns)  # all of them occur


@BOTH
def test_one_full_row_of_one_lane_decides_for_all(fmt):
    codes, row_scale = matrix(fmt, 64, 32, 64, modes=[1])
    before = modes_of(fmt, check(fmt, codes, row_scale, 64), 64, 1, 64)
    codes[4 * 9 + 2, 16:] = 1
    assert modes_of(fmt, check(fmt, codes, row_scale, 64), 64, 1, 64) == {**before, (0, 1): 4}


@BOTH
@BEATS
def test_blocks_of_zeros_cost_nothing(fmt, beat_bytes):
    codes, row_scale = matrix(fmt, beat_bytes, 256, beat_bytes, modes=range(1, 6))
    beats = len(slow_beats(fmt, codes, row_scale, beat_bytes))
    for places in ([0], [15], [3, 4, 9], range(16), [16 + n for n in range(16)]):
        blocks, taken = [], 0
        for n in range(32):
            blocks.append(
                codes[:, 16 * taken : 16 * taken + 16]
                if n not in places and taken < 16
                else 0 * codes[:, :16]
            )
            taken += n not in places
        wide = np.concatenate(blocks, 1)
        data = check(fmt, wide, row_scale, beat_bytes)
        *_, (_, _, _, got) = FORMATS[fmt].walk(data, beat_bytes, 16, beat_bytes)
        assert got == beats


@BOTH
@BEATS
@pytest.mark.parametrize("patterns", [PATTERNS, ("4:16", "2:4"), ("8:16",), ()], ids="+".join)
def test_a_stripe_of_zeros_is_its_first_block(fmt, beat_bytes, patterns):
    """A stripe has sums only if there is something to add up: alone, first, between others and
    last.
    """
    for zeros in ([0], [0, 1], [1], [2], [0, 1, 2]):
        rows = beat_bytes * (1 if zeros == [0] else 3)
        codes, row_scale = matrix(fmt, rows, 64, beat_bytes, modes=range(1, 6))
        for stripe in zeros:
            codes[stripe * beat_bytes : (stripe + 1) * beat_bytes] = 0
        modes = modes_of(
            fmt, check(fmt, codes, row_scale, beat_bytes, patterns), rows, 2, beat_bytes
        )
        for stripe in range(rows // beat_bytes):
            assert [b for s, b in modes if s == stripe] == (
                [0] if stripe in zeros else [0, 1, 2, 3]
            )


@BOTH
@BEATS
@pytest.mark.parametrize("more", [-1, 1])
def test_headers(fmt, beat_bytes, more):
    """Matrices on either side of what two headers hold."""
    depth = 2 * 16 * beat_bytes * 2 + 32 * more
    codes, row_scale = matrix(fmt, 3, depth, beat_bytes)
    check(fmt, codes, row_scale, beat_bytes)


@BOTH
@BEATS
def test_headers_end_with_the_last_block(fmt, beat_bytes):
    """Three headers' worth of blocks, of which one or two hold something."""
    run = 2 * beat_bytes  # blocks per header
    for blocks in (
        [0],
        [run - 1],
        [run],
        [2 * run - 1],
        [2 * run],
        [0, 3 * run - 1],
        [run - 1, run],
    ):
        codes, row_scale = np.zeros((2, 16 * 3 * run), np.int8), np.ones(2, np.float32)
        for b in blocks:
            codes[1, 16 * b + 5] = -1
        data = check(fmt, codes, row_scale, beat_bytes)
        assert list(modes_of(fmt, data, 2, 3 * run // 2, beat_bytes)) == [(0, b) for b in blocks]
        *_, (_, _, _, beats) = FORMATS[fmt].walk(data, 2, 3 * run // 2, beat_bytes)
        assert beats == 4 + blocks[-1] // run + 1 + len(blocks) * FORMATS[fmt].beats_of(Mode.N2)


@BOTH
@BEATS
def test_walk_finds_the_blocks(fmt, beat_bytes):
    rows, depth = 2 * beat_bytes, 96
    codes, row_scale = matrix(fmt, rows, depth, beat_bytes)
    data = pack(fmt, codes, None, None, row_scale, beat_bytes)
    lanes, seen = beat_bytes // 16, 0
    for stripe, block, mode, at in FORMATS[fmt].walk(data, rows, 3, beat_bytes):
        if block is None:
            continue
        part = codes[stripe * beat_bytes : (stripe + 1) * beat_bytes, 16 * block : 16 * block + 16]
        want = b"".join(
            slow_block(fmt, int(mode), part.reshape(16, lanes, 16).swapaxes(0, 1).tolist())
        )
        assert data[at * beat_bytes : at * beat_bytes + len(want)] == want
        seen += 1
    assert seen


def test_depth_wrong():
    with pytest.raises(ValueError, match=r"^K must be a multiple of 32, not 48$"):
        pack(SPARSE8, np.zeros((4, 48), np.int8), None, None, np.ones(4, np.float32), 16)


@pytest.mark.parametrize("low, high", [(-9, 7), (-8, 8), (-128, 127)])
def test_codes_wrong(low, high):
    codes = np.zeros((4, 32), np.int8)
    codes[1, 3], codes[3, 31] = low, high
    with pytest.raises(ValueError, match=rf"^Codes must fit in 4 bits, not {low} to {high}$"):
        pack(SPARSE4, codes, None, None, np.ones(4, np.float32), 16)
    pack(SPARSE8, codes, None, None, np.ones(4, np.float32), 16)


@pytest.mark.parametrize("mode", [6, 7])
def test_header_wrong(mode):
    codes, row_scale = matrix(SPARSE4, 16, 32, 16)
    data = bytearray(pack(SPARSE4, codes, None, None, row_scale, 16))
    data[64] = data[64] & 0xF8 | mode
    with pytest.raises(ValueError, match=rf"^{mode} is not a valid Mode$"):
        unpack(SPARSE4, bytes(data), 16, 1, 16)
