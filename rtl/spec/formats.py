"""Packed weight formats: how a matrix lies in DRAM, in the order in which the core eats it.

A matrix of any format stands for row_scale[n] * integer[n, k], with an exact integer per weight:

- ``U1`` to ``U4``, of b bits: (2 * code - (2**b - 1)) * scale[n, g] + (centre[n, g] << centre_shift).
  The odd grid is the symmetric remapping of LUT Tensor Core; with the centre of a group rather than
  its minimum, eight bits carry the zero point as finely as the code's own steps need.
- ``S8``: code * scale[n, g], code in -128..127.
- ``TERNARY``: code in -1, 0, 1 (BitNet b1.58). No scale but the row's.
- ``SPARSE4``, ``SPARSE8``: see :mod:`rtl.spec.sparse`.

scale is an unsigned, centre a signed byte per group of 32 along K.

A *step* is what the core multiplies at once: rows side by side, times one group of columns. The
fewer bits a weight has, the more rows a beat of `beat_bytes` holds (N = beat_bytes / 16):

========  =====  ========================================  =====
format    rows   codes of a row                            beats
========  =====  ========================================  =====
U4        N      16 bytes: element k low, 16 + k high      1
S8        N      16 bytes: elements 0-15, then 16-31       1
U3        N      12 bytes: bits 0, 1, 2 of the 32 codes    3/4
U2        2 N    8 bytes: bits 0, 1 of the 32 codes        1
TERNARY   2 N    8 bytes of trits                          4/5
U1        4 N    4 bytes: the 32 codes                     1
========  =====  ========================================  =====

A block of `block_rows` (beat_bytes / 4, 4 N) rows is: one beat of fp32 row scales; then, tile of
rows after tile and group after group, the beats of the steps. A scale beat comes before those of
every `SCALE_RUN` steps: (scale, centre) byte pairs, in S8 scale bytes, ordered [group step][row].
TERNARY has none. The whole matrix is padded with zeros to `UNIT_BYTES`; in S8 each block is, so that
an embedding's row can be found by its block's address.

What beats have left over is a *gear*: the groups of a tile go in runs of one more step than beats. In
U3, bytes 12-15 of a row are bit i, in beat i of three, of the codes of the fourth step. In
TERNARY, byte j of a row is five digits, trit + 1, in base 3, the first one highest: elements 4 j to
4 j + 3, and, in beat i of four, element 4 j + i of the fifth step; value * 256 / 243, rounded up. The
last groups of a tile, when too few for a run, take a beat each, with zeros for the step that is not there.
"""

import numpy as np

from .config import GROUP, UNIT_BYTES
from .isa import WeightFormat


__all__ = ["ACC_BITS", "WeightFormat", "ROW_SCALED", "SPARSE", "CODE_BITS", "STEP_ROWS", "SCALE_RUN",
           "BEATS_PER_GROUP", "GEAR", "TILES", "grid", "sum_bits", "integers", "tile_rows",
           "block_beats", "stream_units", "pack", "unpack"]


U1, U2, U3, U4, S8, TERNARY = (WeightFormat[name] for name in ("U1", "U2", "U3", "U4", "S8", "TERNARY"))
SPARSE = frozenset({WeightFormat.SPARSE4, WeightFormat.SPARSE8})
ROW_SCALED = SPARSE | {TERNARY}                     # formats without scales of groups
CODE_BITS = {U1: 1, U2: 2, U3: 3, U4: 4, S8: 8}     # of a code, where codes are integers of bits
STEP_ROWS = {U4: 1, S8: 1, U3: 1, U2: 2, TERNARY: 2, U1: 4}  # rows of a step, times N
SCALE_RUN = {U4: 8, S8: 32, U3: 8, U2: 4, U1: 2}    # steps per scale beat
BEATS_PER_GROUP = {U4: 1, S8: 2, U3: 1, U2: 1, U1: 1, TERNARY: 1}  # steps per group of a tile's rows
GEAR = {U3: 4, TERNARY: 5}                          # steps of a run that the beats before the last carry
ACC_BITS = 52                                       # of the core's accumulators
TILES = 4                                           # slices of N rows per block


def grid(fmt, codes):
    """Integers, int32, that codes stand for before scale and centre: odd numbers in U1 to U4."""
    codes = codes.astype(np.int32)
    return 2 * codes - ((1 << CODE_BITS[fmt]) - 1) if fmt in (U1, U2, U3, U4) else codes


def sum_bits(fmt, groups, centre_shift, window):
    """Bits, sign included, that hold every sum over `groups` groups of activations within -127..127,
    each group shifted left by up to `window`: the proof that an accumulator is wide enough."""
    if fmt in ROW_SCALED:
        weight = {TERNARY: 1, WeightFormat.SPARSE4: 8, WeightFormat.SPARSE8: 128}[fmt]
    elif fmt == S8:
        weight = 128 * 255
    else:
        weight = ((1 << CODE_BITS[fmt]) - 1) * 255 + (128 << centre_shift)
    return (groups * GROUP * 127 * weight << window).bit_length() + 1


def integers(fmt, codes, scale, centre, centre_shift, dtype=np.float64):
    """Integer weights (rows, K) of `codes` (rows, K), `scale` and `centre` (rows, K / 32), which do
    not matter where only rows have scales."""
    rows, depth = codes.shape
    values = grid(fmt, codes)
    if fmt not in ROW_SCALED:
        values = values.reshape(rows, -1, GROUP) * scale.astype(np.int32)[..., None]
        if fmt != S8:
            values = values + (centre.astype(np.int32) << centre_shift)[..., None]
    return values.reshape(rows, depth).astype(dtype)


def tile_rows(fmt, beat_bytes):
    """Rows whose sums are complete at the same time."""
    return 16 * beat_bytes // 16 if fmt in SPARSE else STEP_ROWS[fmt] * beat_bytes // 16


def _tile_beats(fmt, groups):
    """Beats of the codes of one tile of rows."""
    steps = groups * BEATS_PER_GROUP[fmt]
    return steps - steps // GEAR[fmt] if fmt in GEAR else steps


def block_beats(fmt, groups, beat_bytes):
    """Beats of one block of rows, padding included."""
    tiles = TILES // STEP_ROWS[fmt]
    beats = 1 + tiles * _tile_beats(fmt, groups)
    if fmt in SCALE_RUN:
        beats += -(-tiles * groups * BEATS_PER_GROUP[fmt] // SCALE_RUN[fmt])
    unit_beats = UNIT_BYTES // beat_bytes
    return -(-beats // unit_beats) * unit_beats if fmt == S8 else beats


def stream_units(fmt, rows, groups, beat_bytes):
    """Units of a packed matrix. How many a sparse one has depends on its zeros: see
    :func:`rtl.spec.sparse.stream_units`."""
    blocks = -(-rows // (beat_bytes // 4))
    return -(-blocks * block_beats(fmt, groups, beat_bytes) * beat_bytes // UNIT_BYTES)


def _plan(fmt, groups):
    """What a block's beats are, after the row scales: ("scale", run) or ("codes", tile, step), of
    the steps of that tile."""
    count, gear = groups * BEATS_PER_GROUP[fmt], GEAR.get(fmt, 0)
    for tile in range(TILES // STEP_ROWS[fmt]):
        for step in range(count):
            index = tile * count + step
            if fmt in SCALE_RUN and index % SCALE_RUN[fmt] == 0:
                yield "scale", index // SCALE_RUN[fmt]
            if not gear or step % gear != gear - 1:
                yield "codes", tile, step


def _planes(codes, bits):
    """Bits of each code, packed: (..., 32) codes to (..., bits, 4) bytes."""
    planes = codes[..., None, :] >> np.arange(bits, dtype=np.uint8)[:, None] & 1
    return np.packbits(planes.astype(np.uint8), -1, bitorder="little")


def _from_planes(planes):
    """Undo :func:`_planes`."""
    bits = np.unpackbits(planes, axis=-1, bitorder="little")
    return (bits << np.arange(bits.shape[-2], dtype=np.uint8)[:, None]).sum(-2, dtype=np.uint8)


def _trits(digits):
    """Bytes of five digits 0, 1, 2 each: such that times 3, the carry out of 8 bits is a digit."""
    value = digits.astype(np.int32) @ np.array([81, 27, 9, 3, 1])
    return ((256 * value + 242) // 243).astype(np.uint8)


def _digits(packed):
    """Undo :func:`_trits`."""
    rest, digits = packed.astype(np.int32), []
    for _ in range(5):
        digits.append(rest * 3 >> 8)
        rest = rest * 3 & 255
    return np.stack(digits, -1).astype(np.uint8)


def _gear(groups, length):
    """Steps of a tile that have a beat, the place in its run of each, and the steps that have none."""
    step = np.arange(groups)
    own = step[step % length != length - 1]
    return own, own % length, step[step % length == length - 1]


def _code_bytes(fmt, codes):
    """Bytes of the beats of tiles: codes (..., rows, groups, 32) to (..., beats, rows, bytes)."""
    if fmt == U4:
        beats = codes[..., :16] | codes[..., 16:] << 4
    elif fmt == S8:
        beats = codes.reshape(*codes.shape[:-2], -1, 16)
    elif fmt in (U1, U2):
        planes = _planes(codes, CODE_BITS[fmt])
        beats = planes.reshape(*planes.shape[:-2], -1)
    else:
        groups, run = codes.shape[-2], GEAR[fmt] - 1
        own, place, carried = _gear(groups, GEAR[fmt])
        carrier = carried[:, None] - run + np.arange(run)   # beats' steps, per carried one
        if fmt == U3:
            planes = _planes(codes, 3)
            left = np.zeros((*codes.shape[:-1], 4), np.uint8)
            left[..., carrier, :] = planes[..., carried, :, :]
            beats = np.concatenate([planes, left[..., None, :]], -2)[..., own, :, :]
            beats = beats.reshape(*beats.shape[:-2], 16)
        else:
            digits = (codes.view(np.int8) + 1).astype(np.uint8).reshape(*codes.shape[:-1], 8, 4)
            left = np.zeros((*digits.shape[:-1], 1), np.uint8)
            left[..., carrier, :, :] = digits[..., carried, :, :].swapaxes(-1, -2)[..., None]
            beats = _trits(np.concatenate([digits, left], -1))[..., own, :]
    return beats.swapaxes(-2, -3)


def _codes(fmt, beats, groups):
    """Undo :func:`_code_bytes`."""
    beats = beats.swapaxes(-2, -3)
    if fmt == U4:
        return np.concatenate([beats & 15, beats >> 4], -1)
    if fmt == S8:
        return beats.reshape(*beats.shape[:-2], groups, GROUP)
    if fmt in (U1, U2):
        return _from_planes(beats.reshape(*beats.shape[:-1], -1, 4))
    own, _, carried = _gear(groups, GEAR[fmt])
    run = GEAR[fmt] - 1
    at = np.searchsorted(own, carried)[:, None] - run + np.arange(run)   # beats that carry
    codes = np.zeros((*beats.shape[:-2], groups, GROUP), np.uint8)
    if fmt == U3:
        planes = beats.reshape(*beats.shape[:-1], 4, 4)
        codes[..., own, :] = _from_planes(planes[..., :3, :])
        codes[..., carried, :] = _from_planes(planes[..., 3, :][..., at, :])
    else:
        digits = _digits(beats)
        codes[..., own, :] = digits[..., :4].reshape(*beats.shape[:-1], GROUP)
        last = digits[..., 4][..., at, :].swapaxes(-1, -2)
        codes[..., carried, :] = last.reshape(*last.shape[:-2], GROUP)
        codes -= 1
    return codes


def pack(fmt, codes, scale, centre, row_scale, beat_bytes, patterns=None):
    """Pack a matrix. Returns bytes, a multiple of `UNIT_BYTES`.

    `codes` is (rows, K), uint8 in U1 to U4 and int8 else; `scale` uint8 and `centre` int8 are
    (rows, K / 32), and do not matter where only rows have scales; `row_scale` is float32 (rows,).
    Rows are padded with zeros to whole blocks. `patterns` are a sparse matrix's.
    """
    rows, depth = codes.shape
    if depth % GROUP:
        raise ValueError(f"K must be a multiple of {GROUP}, not {depth}")
    if fmt in SPARSE:
        from .sparse import pack as pack_sparse
        return pack_sparse(fmt, codes, row_scale, beat_bytes, *([] if patterns is None else [patterns]))
    groups, width = depth // GROUP, STEP_ROWS[fmt] * beat_bytes // 16
    blocks, tiles = -(-rows // (beat_bytes // 4)), TILES // STEP_ROWS[fmt]
    grow = blocks * (beat_bytes // 4) - rows
    codes = np.pad(codes.view(np.uint8), [(0, grow), (0, 0)])
    row_scale = np.pad(row_scale.astype("<f4"), (0, grow)).view(np.uint8)
    beats = _code_bytes(fmt, codes.reshape(blocks, tiles, width, groups, GROUP))
    beats = beats.reshape(blocks, tiles, -1, beat_bytes)

    runs = 0
    if fmt in SCALE_RUN:
        # (block, tile, row, group) -> (block, group step, row)
        parts = [scale] if fmt == S8 else [scale, centre.view(np.uint8)]
        pairs = np.stack([np.pad(part, [(0, grow), (0, 0)]).reshape(blocks, tiles, width, groups)
                          .swapaxes(2, 3) for part in parts], -1).reshape(blocks, -1)
        runs = -(-tiles * groups * BEATS_PER_GROUP[fmt] // SCALE_RUN[fmt])
        pairs = np.pad(pairs, [(0, 0), (0, runs * beat_bytes - pairs.shape[1])])
        pairs = pairs.reshape(blocks, runs, beat_bytes)

    out = np.zeros((blocks, block_beats(fmt, groups, beat_bytes), beat_bytes), np.uint8)
    out[:, 0] = row_scale.reshape(blocks, beat_bytes)
    codes_at, scales_at = _places(fmt, groups)
    out[:, codes_at] = beats.reshape(blocks, -1, beat_bytes)
    if runs:
        out[:, scales_at] = pairs
    data = out.tobytes()
    return data + bytes(-len(data) % UNIT_BYTES)


def _places(fmt, groups):
    """Beats of a block that are codes, and that are scales."""
    kinds = [kind for kind, *_ in _plan(fmt, groups)]
    return tuple([n for n, kind in enumerate(kinds, 1) if kind == wanted] for wanted in ("codes", "scale"))


def unpack(fmt, data, rows, groups, beat_bytes):
    """Undo :func:`pack`. Returns codes, scale, centre, row_scale; where a format has no scale, it is
    1, and where it has no centre, 0."""
    if fmt in SPARSE:
        from .sparse import unpack as unpack_sparse
        codes, row_scale = unpack_sparse(fmt, data, rows, groups, beat_bytes)
        return codes, np.ones((rows, groups), np.uint8), np.zeros((rows, groups), np.int8), row_scale
    width, tiles = STEP_ROWS[fmt] * beat_bytes // 16, TILES // STEP_ROWS[fmt]
    blocks, total = -(-rows // (beat_bytes // 4)), block_beats(fmt, groups, beat_bytes)
    beats = np.frombuffer(data, np.uint8, blocks * total * beat_bytes).reshape(blocks, total, beat_bytes)
    row_scale = np.ascontiguousarray(beats[:, 0]).view("<f4").reshape(-1)[:rows]
    codes_at, scales_at = _places(fmt, groups)
    codes = _codes(fmt, beats[:, codes_at].reshape(blocks, tiles, -1, width, beat_bytes // width), groups)
    codes = codes.reshape(-1, groups * GROUP)[:rows]

    scale, centre = np.ones((rows, groups), np.uint8), np.zeros((rows, groups), np.int8)
    if fmt in SCALE_RUN:
        kinds = 1 if fmt == S8 else 2
        pairs = beats[:, scales_at].reshape(blocks, -1)[:, :tiles * groups * width * kinds]
        pairs = pairs.reshape(blocks, tiles, groups, width, kinds)
        pairs = pairs.transpose(4, 0, 1, 3, 2).reshape(kinds, -1, groups)[:, :rows]
        scale = pairs[0]
        if kinds == 2:
            centre = pairs[1].view(np.int8)
    signed = fmt in (S8, TERNARY)
    return (codes.view(np.int8) if signed else codes), scale, centre, row_scale
