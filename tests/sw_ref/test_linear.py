"""Products from the packed stream have the bits of the numpy function that defines them."""

from dataclasses import replace

import numpy as np
import pytest

from rtl.spec.config import GROUP, UNIT_BYTES, get
from rtl.spec.formats import FORMATS, SPARSE, WeightFormat, integers, pack
from rtl.spec.sparse_modes import BLOCK, Mode
from sim.harness.patterns import EDGES, floats
from sim.models.toy import prune
from sw_ref import linear as module, numerics
from sw_ref.linear import linear, places, sound


ALL = pytest.mark.parametrize("fmt", WeightFormat, ids=lambda f: f.name)


def matrix(rng, fmt, rows, groups):
    """Random codes and scales, with the largest there are in the first row."""
    low, high = FORMATS[fmt].low, FORMATS[fmt].high + 1
    codes = rng.integers(low, high, (rows, groups * GROUP)).astype(np.int8 if low else np.uint8)
    if fmt in SPARSE:
        codes = prune(rng, codes)
    its = FORMATS[fmt]
    scale = rng.integers(0, 256, (rows, groups * GROUP // its.group)).astype(np.uint8)
    centre = rng.integers(-128, 128, (rows, groups)).astype(np.int8)
    codes[0], scale[0], centre[0] = low, 128 if its.signed_scale else 255, -128
    scale = scale.view(its.scale_dtype)
    return codes, scale, centre


def check(fmt, beat_bytes, rows, groups, columns, spread, seed=0, centre_shift=7, codes=None):
    rng = np.random.default_rng(seed)
    made, scale, centre = matrix(rng, fmt, rows, groups)
    codes = made if codes is None else codes
    row_scale = rng.normal(size=rows).astype(np.float32)
    row_scale[:4] = [1e-40, -0.0, 3e38, -(2.0**-126)][:rows]
    edges = rng.choice(floats(EDGES), rows)
    row_scale[4:] = np.where(rng.random(rows) < 0.2, edges, row_scale)[4:]
    packed = pack(fmt, codes, scale, centre, row_scale, beat_bytes)
    # The stream goes on, with bytes that must not matter.
    stream = np.frombuffer(packed + rng.bytes(1024), np.uint8)
    q = rng.integers(-127, 128, (columns, groups, GROUP)).astype(np.int16)
    q[0] = -127
    exponents = rng.integers(130 - spread, 131, (columns, groups)).astype(np.uint8)
    stride = rows + 5
    out = np.full(columns * stride, 7, np.float32)
    taken = linear(stream, fmt, rows, beat_bytes, centre_shift, q, exponents, out, stride)
    assert -(-taken // UNIT_BYTES) * UNIT_BYTES == len(packed)
    expected = numerics.linear(
        integers(fmt, codes, scale, centre, centre_shift),
        row_scale,
        q.reshape(columns, -1),
        exponents,
    )
    out = out.reshape(columns, stride)
    assert np.isfinite(expected).all()
    np.testing.assert_array_equal(out[:, :rows].view(np.uint32), expected.view(np.uint32))
    assert (out[:, rows:] == 7).all()


@ALL
@pytest.mark.parametrize("beat_bytes", [16, 32, 64])
@pytest.mark.parametrize("groups", [1, 2, 3, 7, 8, 9, 16, 17, 32])
def test_shapes(fmt, beat_bytes, groups):
    """Groups about the runs between scales; rows about the blocks; dropped groups."""
    for rows in (4, beat_bytes // 4 - 1, beat_bytes // 4, 3 * beat_bytes // 4 + 1):
        for columns, spread in (1, 0), (1, 17), (3, 40):
            check(fmt, beat_bytes, max(rows, 4), groups, columns, spread, seed=rows)


@ALL
def test_without_a_kernel(fmt, monkeypatch):
    """A new format runs before it has a kernel: its class says enough."""
    monkeypatch.setattr(module, "QUADS", ())
    monkeypatch.setattr(module, "decodes", lambda fmt: False)
    check(fmt, 32, 21, 6, 2, 12)


@ALL
def test_largest(fmt):
    check(fmt, 16, 5, 512, 2, 0)
    check(fmt, 64, 17, 512, 16, 3, centre_shift=0)


@pytest.mark.parametrize("fmt", [WeightFormat.SPARSE4, WeightFormat.SPARSE8], ids=lambda f: f.name)
@pytest.mark.parametrize("beat_bytes", [16, 64])
def test_every_mode(fmt, beat_bytes):
    """Each mode on its own, mixed with others, and none at all; stripes of more blocks than a
    header has.
    """
    rng = np.random.default_rng(5)
    rows, groups = 3 * beat_bytes + 5, 17 * beat_bytes // 16 + 1
    full = rng.choice([-8, -3, 1, 7], (rows, groups * GROUP)).astype(np.int8)
    kept = {
        Mode.ZERO: np.arange(BLOCK) < 0,
        Mode.DENSE: np.arange(BLOCK) >= 0,
        Mode.PAIRS: np.arange(BLOCK) % 4 > 1,
        Mode.N2: np.isin(np.arange(BLOCK), (14, 15)),
        Mode.N4: np.arange(BLOCK) > 11,
        Mode.N8: np.arange(BLOCK) > 7,
    }
    for mode, of_block in kept.items():
        codes = full[: beat_bytes + 5] * np.tile(of_block, groups * 2)
        packed = pack(fmt, codes, None, None, np.ones(len(codes), np.float32), beat_bytes)
        found = {
            m
            for *_, m, _ in FORMATS[fmt].walk(packed, len(codes), groups, beat_bytes)
            if m is not None
        }
        assert found == {mode if mode != Mode.ZERO else Mode.N2}
        check(fmt, beat_bytes, len(codes), groups, 2, 5, codes=codes)
    order = rng.choice(list(kept), (-(-rows // 16), groups * 2))
    mixed = np.stack([np.concatenate([kept[mode] for mode in line]) for line in order]).repeat(
        16, 0
    )[:rows]
    mixed[beat_bytes : 2 * beat_bytes] = False  # a stripe of zeros between others
    mixed[:, -3 * BLOCK :] = False  # zeros at each stripe's end
    check(fmt, beat_bytes, rows, groups, 3, 5, codes=full * mixed)


@pytest.mark.parametrize("fmt", [WeightFormat.SPARSE4, WeightFormat.SPARSE8], ids=lambda f: f.name)
def test_damaged_stripes(fmt):
    rows, groups = 40, 3
    codes = np.ones((rows, groups * GROUP), np.int8)
    packed = pack(fmt, codes, None, None, np.ones(rows, np.float32), 16)
    for length in (0, 48, 64, 80, len(packed) - 64):
        with pytest.raises(ValueError, match="^the weight stream holds less than the matrix$"):
            places(np.frombuffer(packed, np.uint8)[:length], fmt, rows, groups, 16)
    # The header's blocks 4 and 5, both dense, are 0xc4.
    for at, value, message in [
        (64, 0x47, "has a mode that there is none of"),
        (66, 0x44, "has no last block"),
        (66, 0x84, "has no last block with codes"),
        (67, 0x01, "has blocks after its last one"),
    ]:
        damaged = np.frombuffer(packed, np.uint8).copy()
        damaged[at] = value
        with pytest.raises(ValueError, match=message):
            places(damaged, fmt, rows, groups, 16)


@pytest.mark.parametrize("fmt", [WeightFormat.SPARSE4, WeightFormat.SPARSE8], ids=lambda f: f.name)
def test_what_hardware_reads_otherwise(fmt):
    """Hardware may not add slots of the same element, and may lack modes."""
    config, codes = get("small"), np.zeros((4, GROUP), np.int8)
    codes[:, 3:5] = 7
    packed = np.frombuffer(pack(fmt, codes, None, None, np.ones(4, np.float32), 16), np.uint8)
    assert sound(packed, fmt, 4, 1, config) <= len(packed)
    # Its only block is the last, in the mode 2:16; the first index beat is right after the header.
    index = 4 * 16 + 16
    assert packed[64] == 8 | Mode.N2 and packed[index] == 0x43
    damaged = packed.copy()
    damaged[index] = 0x33
    with pytest.raises(ValueError, match="^a row of the sparse matrix has an element twice$"):
        sound(damaged, fmt, 4, 1, config)
    damaged[index] = 0x34
    assert sound(damaged, fmt, 4, 1, config) <= len(packed)
    with pytest.raises(ValueError, match="has a mode that there is none of$"):
        sound(packed, fmt, 4, 1, replace(config, patterns=("4:16", "2:4")))


@pytest.mark.parametrize("fmt", [f for f in WeightFormat if f not in SPARSE], ids=lambda f: f.name)
def test_stream_too_short(fmt):
    codes, scale, centre = matrix(np.random.default_rng(2), fmt, 9, 3)
    packed = pack(fmt, codes, scale, centre, np.ones(9, np.float32), 64)
    with pytest.raises(ValueError, match="^the weight stream holds less than the matrix$"):
        places(np.frombuffer(packed, np.uint8)[:-64], fmt, 9, 3, 64)


@pytest.mark.parametrize("cores", [2, 3, 8])
@pytest.mark.parametrize(
    "fmt",
    [WeightFormat.U4, WeightFormat.U3, WeightFormat.TERNARY, WeightFormat.SPARSE4],
    ids=lambda f: f.name,
)
def test_shares(monkeypatch, fmt, cores):
    """Any number of threads, also more than blocks."""
    monkeypatch.setattr(module, "CORES", cores)
    monkeypatch.setattr(module, "SHARE", 100)
    for rows in (4, 16, 17, 50, 150):
        check(fmt, 64, rows, 3, 2, 5)


@ALL
def test_all_row_scales_and_exponents(fmt):
    """Every pattern of a row scale is a number; results below and above fp32's range."""
    rng = np.random.default_rng(1)
    wild = rng.integers(0, 1 << 32, 40, np.uint32).view(np.float32)
    others = np.float32([1e-30, 1, -1e30, 1e38, -1e-38, 1e-20])
    row_scale = np.concatenate([floats(EDGES), wild, others])
    rows = len(row_scale)
    codes, scale, centre = matrix(rng, fmt, rows, 2)
    stream = np.frombuffer(pack(fmt, codes, scale, centre, row_scale, 16), np.uint8)
    q = np.full((1, 2, GROUP), 127, np.int16)
    for exponent in (0, 20, 21, 127, 147, 148, 254, 255):
        exponents, out = np.full((1, 2), exponent, np.uint8), np.zeros(rows, np.float32)
        linear(stream, fmt, rows, 16, 0, q, exponents, out, rows)
        expected = numerics.linear(
            integers(fmt, codes, scale, centre, 0), row_scale, q.reshape(1, -1), exponents
        )
        np.testing.assert_array_equal(out.view(np.uint32), expected[0].view(np.uint32))
        assert np.isfinite(out).all()
