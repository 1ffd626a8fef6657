"""Every registered format keeps the contract of :class:`rtl.spec.formats.Format`."""

import numpy as np
import pytest

from rtl.spec import formats
from rtl.spec.config import CORES, FUNCTIONAL, NATIVE
from rtl.spec.formats import FORMATS, Verilog, WeightFormat, register
from rtl.spec.formats.nibbles import SixBits
from rtl.spec.formats.planes import BitPlanes
from rtl.spec.formats.u2 import U2
from rtl.spec.limits import ACC_BITS, GROUPS, INTEGER_BITS
from rtl.spec.numbers import GROUP, LANE_BYTES, TILES, UNIT_BYTES, WINDOW
from rtl.spec.sparse_modes import PATTERNS, SLOTS, Mode


ALL = pytest.mark.parametrize("its", FORMATS.values(), ids=lambda its: its.name)
BEATS = pytest.mark.parametrize("beat_bytes", [16, 32, 64])


def matrix(its, rows, groups, seed=5):
    """Codes with both ends of the range, and zeros where they cost nothing; then the scales."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(its.low, its.high + 1, (rows, groups * GROUP)).astype(its.dtype)
    if its.sparse:
        codes[rng.random(codes.shape) < 0.7] = 0
        codes[:, GROUP // 2 : GROUP] = 0
    codes[0, :2] = its.low, its.high
    scales = rows, groups * GROUP // its.group
    return (
        codes,
        rng.integers(0, 256, scales).astype(np.uint8).view(its.scale_dtype),
        rng.integers(-128, 128, (rows, groups)).astype(np.int8),
        rng.standard_normal(rows).astype(np.float32),
    )


def check_round_trip(its, beat_bytes, rows, groups):
    """A matrix survives packing, in as many units as are said, whatever lies behind it."""
    codes, scale, centre, row_scale = matrix(its, rows, groups)
    data = its.pack(codes, scale, centre, row_scale, beat_bytes)
    wanted = (
        codes,
        scale if its.scaled else np.ones_like(scale),
        centre if its.centred else np.zeros_like(centre),
        row_scale,
    )
    behind = data + bytes([255] * 2 * UNIT_BYTES)
    for ours, theirs in zip(wanted, its.unpack(behind, rows, groups, beat_bytes), strict=True):
        assert ours.dtype == theirs.dtype
        np.testing.assert_array_equal(ours, theirs)
    assert len(data) == UNIT_BYTES * its.stream_units(rows, groups, beat_bytes, behind)


def test_every_member_is_a_file_and_every_file_a_member():
    assert set(FORMATS) == set(WeightFormat)
    for fmt, its in FORMATS.items():
        assert (its.fmt, its.name) == (fmt, fmt.name)
        assert type(its).__module__ == f"{formats.__name__}.{fmt.name.lower()}"


@ALL
@BEATS
@pytest.mark.parametrize("rows, groups", [(1, 1), (5, 4), (33, 11), (64, 5)])
def test_round_trip(its, beat_bytes, rows, groups):
    check_round_trip(its, beat_bytes, rows, groups)


@ALL
def test_codes(its):
    """Each code of the range stands for an integer; several may stand for zero alone."""
    assert its.low <= 0 < its.high
    every = its.grid(np.arange(its.low, its.high + 1).astype(its.dtype))
    assert every.dtype == np.int32
    assert len(set(every[every != 0].tolist())) == (every != 0).sum()
    if its.code_bits:
        assert its.high - its.low + 1 == 1 << its.code_bits
    assert its.parts in ((), ("scale",), ("scale", "centre"), ("scale", "upper"))
    assert (its.group == GROUP // 2) == ("upper" in its.parts)


@ALL
def test_nearest_and_mirrored(its):
    """Every integer has its code, what lies between goes to the nearest, and signs turn round, or
    as nearly as the codes allow.
    """
    codes, integers = its.every_code, its.grid(its.every_code)
    assert its.nearest(integers).dtype == its.mirrored(codes).dtype == its.dtype
    np.testing.assert_array_equal(its.grid(its.nearest(integers + 0.4)), integers)
    np.testing.assert_array_equal(its.grid(its.nearest(integers - 0.4)), integers)
    assert its.grid(its.nearest(np.array([-1e9, 1e9]))).tolist() == [min(integers), max(integers)]
    off = np.abs(its.grid(its.mirrored(codes)) + integers)
    np.testing.assert_array_equal(off, np.abs(integers[:, None] + integers).min(1))
    assert its.signed_scale or not off[integers > 0].any()


@ALL
@pytest.mark.parametrize("shift", [0, 7])
def test_integers_and_their_sums_have_room(its, shift):
    """What the exactness of sums rests on: :func:`sw_ref.numerics.linear`."""
    every = np.arange(its.low, its.high + 1).astype(its.dtype)
    codes, count = np.repeat(every[:, None], GROUP, 1), len(every)
    worst = -128 if its.signed_scale else 255
    scale = np.full((count, GROUP // its.group), worst).astype(its.scale_dtype)
    most = max(
        int(np.abs(its.integers(codes, scale, np.full((count, 1), centre, np.int8), shift)).max())
        for centre in (-128, 127)
    )
    assert most == its.bound(shift) < 1 << INTEGER_BITS
    for groups, window in (1, 0), (33, 5), (48, 15):
        worst = groups * GROUP * 127 * most << window
        assert worst < 1 << its.sum_bits(groups, shift, window) - 1 <= 2 * worst

    assert its.sum_bits(GROUPS, shift, WINDOW) <= ACC_BITS


@ALL
@BEATS
def test_steps(its, beat_bytes):
    """Tiles fill blocks or stripes, steps fill a beat's lanes, and scales of a run a beat."""
    assert its.tile_rows(beat_bytes) == its.tile_slices * beat_bytes // LANE_BYTES
    if its.sparse:
        for mode in (mode for mode in Mode if SLOTS[mode]):
            assert its.step_slices(mode) * its.code_beats(mode) == its.tile_slices
            assert its.step_slices(mode) * SLOTS[mode] * its.code_bits == 8 * LANE_BYTES
        return
    assert its.tiles * its.tile_slices == TILES and its.step_slices() == its.tile_slices
    assert its.elements * its.steps_per_group == GROUP
    if its.scaled:
        assert its.scale_run * its.step_rows * len(its.parts) == its.steps_per_group * LANE_BYTES
    if its.high_bits:
        assert its.high_run * its.high_bits * GROUP == 8 * LANE_BYTES


@BEATS
@pytest.mark.parametrize(
    "its", [its for its in FORMATS.values() if its.embeds], ids=lambda i: i.name
)
def test_sixteen_rows_have_an_address(its, beat_bytes):
    """They are packed as a matrix of 16 rows is, and are whole units."""
    codes, scale, centre, row_scale = matrix(its, 48, 3)
    data = its.pack(codes, scale, centre, row_scale, beat_bytes)
    some = slice(16, 32)
    part = its.pack(codes[some], scale[some], centre[some], row_scale[some], beat_bytes)
    size = len(data) // 3
    assert size % UNIT_BYTES == 0 and data[size : 2 * size] == part


@ALL
def test_cores_take_it(its):
    """Some core takes its steps as they are packed; others get them expanded, or none."""
    native = [core for core, names in NATIVE.items() if its.name in names]
    assert {core for core, names in CORES.items() if its.name in names} == set(
        CORES if its.expands or its.step_format != its.fmt else native
    )


@ALL
def test_verilog(its):
    """Sparse steps are described by their modes, dense ones by how their codes are read."""
    if its.sparse:
        assert its.verilog is its.verilog_expanded is None
        return
    if its.verilog is None:  # no core ever sees its steps
        assert its.name in FUNCTIONAL or its.step_format != its.fmt
        return
    assert isinstance(its.verilog, Verilog)
    assert (its.verilog.rows, its.verilog.elements) == (its.step_rows, its.elements)
    # A slice at a time.
    assert (its.verilog_expanded is not None) == its.expands
    assert its.verilog_expanded is None or its.verilog_expanded.rows == 1


DENSE = [its for its in FORMATS.values() if not its.sparse]


@pytest.mark.parametrize("its", DENSE, ids=lambda its: its.name)
def test_step_bytes(its):
    """A step's rows fill a lane of 128 bits. Where it has a beat of its own, they are the
    beat's.
    """
    codes = matrix(its, its.step_rows, 1)[0].view(np.uint8)[:, : its.elements]
    found = its.step_bytes(codes)
    assert found.shape == (its.step_rows, LANE_BYTES // its.step_rows) and found.dtype == np.uint8
    if isinstance(its, SixBits):  # they come as integers
        nibbles = np.concatenate([found & 15, found >> 4], 1)
        high = np.unpackbits(its.step_high(codes), axis=-1, bitorder="little").reshape(-1, GROUP, 2)
        values = nibbles | high[..., 0] << 4 | high[..., 1] << 5
        np.testing.assert_array_equal(
            (values.astype(int) ^ 32) - 32, its.grid(codes.view(its.dtype))
        )
        return
    assert not its.step_high(codes).size
    if not its.gear:
        packed = its.code_bytes(np.tile(codes, its.steps_per_group)[:, None])
        np.testing.assert_array_equal(found, packed[:, 0])
    planes = np.unpackbits(found.reshape(its.step_rows, -1, 4), axis=-1, bitorder="little").astype(
        int
    )
    if its.name == "U3":
        np.testing.assert_array_equal(planes[:, 0] + 2 * planes[:, 1] + 4 * planes[:, 2], codes)
    if its.name == "TERNARY":
        np.testing.assert_array_equal(planes.sum(1) - 1, codes.view(np.int8))


def test_expanded_bytes():
    its = FORMATS[WeightFormat.TERNARY]
    codes = matrix(its, 3, 1)[0]
    found = its.expanded_bytes(codes.view(np.uint8)).astype(int)
    nibbles = np.concatenate([found & 15, found >> 4], 1)
    np.testing.assert_array_equal((nibbles ^ 8) - 8, codes)


def test_patterns_make_sparse_streams_larger_or_not():
    """Fewer patterns never cost fewer beats: the choice is the cheapest."""
    for its in (its for its in FORMATS.values() if its.sparse):
        codes, scale, centre, row_scale = matrix(its, 40, 6)
        sizes = [len(its.pack(codes, scale, centre, row_scale, 16, PATTERNS[:n])) for n in range(5)]
        assert sizes == sorted(sizes, reverse=True)


class Lossy(BitPlanes):
    """Loses the second bit."""

    code_bits, step_rows = 2, 2

    def code_bytes(self, codes):
        return super().code_bytes(codes & 1)


class Short(U2):
    """Says too few units."""

    def stream_units(self, *args, **kwargs):
        return super().stream_units(*args, **kwargs) - 1


@pytest.mark.parametrize("wrong", [Lossy, Short])
def test_a_wrong_format_is_found(wrong):
    with pytest.raises(AssertionError):
        check_round_trip(wrong(WeightFormat.U2), 16, 5, 4)


def test_names_are_those_of_the_enumeration():
    with pytest.raises(TypeError, match=r"^Format must be named in WeightFormat, not 'Lossy'$"):
        register(Lossy)
    with pytest.raises(TypeError, match=r"^Format U2 must be registered once$"):
        register(U2)
