"""Packed weight formats: how a matrix lies in DRAM, in the order in which the core eats it.

A matrix of any format stands for row_scale[n] * integer[n, k], with an exact integer per weight:

- ``U4``: (2 * code - 15) * scale[n, g] + (centre[n, g] << centre_shift), code in 0..15. The odd
  grid 2q - 15 is the symmetric remapping of LUT Tensor Core; with the centre of a group rather than
  its minimum, eight bits carry the zero point as finely as the code's own steps need.
- ``S8``: code * scale[n, g], code in -128..127.

scale is an unsigned, centre a signed byte per group of 32 along K.

Beats of `beat_bytes` hold `rows` (N = beat_bytes / 16) matrix rows side by side. A block of
`block_rows` (beat_bytes / 4, four tiles of N) rows is: one beat of fp32 row scales; then, tile
after tile and group after group, the weight beats, a scale beat before each run of them: in U4
before every 8 beats, (scale, centre) byte pairs; in S8 before every 32 beats, scale bytes, both
ordered [group beat][row]. A U4 beat holds one group of each of its N rows, 16 bytes a row, elements
0-15 in the low and 16-31 in the high nibbles; in S8 two beats do, elements 0-15 and then 16-31.
The whole matrix is padded with zeros to `UNIT_BYTES`; in S8 each block is, so that an embedding's
row can be found by its block's address.
"""

import numpy as np

from .config import GROUP, UNIT_BYTES
from .isa import WeightFormat


__all__ = ["ACC_BITS", "WeightFormat", "SCALE_RUN", "BEATS_PER_GROUP", "sum_bits", "integers", "block_beats", "stream_units",
           "pack", "unpack"]


SCALE_RUN = {WeightFormat.U4: 8, WeightFormat.S8: 32}        # weight beats per scale beat
BEATS_PER_GROUP = {WeightFormat.U4: 1, WeightFormat.S8: 2}   # weight beats per group of N rows
ACC_BITS = 52                                                # of the core's accumulators
TILES = 4                                                    # tiles of N rows per block


def sum_bits(fmt, groups, centre_shift, window):
    """Bits, sign included, that hold every sum over `groups` groups of activations within -127..127,
    each group shifted left by up to `window`: the proof that an accumulator is wide enough."""
    weight = 128 * 255 if fmt == WeightFormat.S8 else 15 * 255 + (128 << centre_shift)
    return (groups * GROUP * 127 * weight << window).bit_length() + 1


def integers(fmt, codes, scale, centre, centre_shift, dtype=np.float64):
    """Integer weights (rows, K) of `codes` (rows, K), `scale` and `centre` (rows, K / 32)."""
    rows, depth = codes.shape
    grid = codes.reshape(rows, -1, GROUP).astype(np.int32)
    if fmt == WeightFormat.U4:
        grid = 2 * grid - 15
    grid = grid * scale.astype(np.int32)[..., None]
    if fmt == WeightFormat.U4:
        grid += (centre.astype(np.int32) << centre_shift)[..., None]
    return grid.reshape(rows, depth).astype(dtype)


def block_beats(fmt, groups, beat_bytes):
    """Beats of one block of rows, padding included."""
    weights = TILES * groups * BEATS_PER_GROUP[fmt]
    beats = 1 + weights + -(-weights // SCALE_RUN[fmt])
    unit_beats = UNIT_BYTES // beat_bytes
    return -(-beats // unit_beats) * unit_beats if fmt == WeightFormat.S8 else beats


def stream_units(fmt, rows, groups, beat_bytes):
    """Units of a packed matrix."""
    blocks = -(-rows // (beat_bytes // 4))
    return -(-blocks * block_beats(fmt, groups, beat_bytes) * beat_bytes // UNIT_BYTES)


def pack(fmt, codes, scale, centre, row_scale, beat_bytes):
    """Pack a matrix. Returns bytes, a multiple of `UNIT_BYTES`.

    `codes` is (rows, K), uint8 or int8; `scale` uint8 and `centre` int8 are (rows, K / 32);
    `row_scale` is float32 (rows,). Rows are padded with zeros to whole blocks.
    """
    rows, depth = codes.shape
    if depth % GROUP:
        raise ValueError(f"K must be a multiple of {GROUP}, not {depth}")
    groups, tile = depth // GROUP, beat_bytes // 16
    blocks = -(-rows // (beat_bytes // 4))
    grow = blocks * (beat_bytes // 4) - rows
    codes = np.pad(codes.view(np.uint8), [(0, grow), (0, 0)])
    scale = np.pad(scale, [(0, grow), (0, 0)])
    centre = np.pad(centre.view(np.uint8), [(0, grow), (0, 0)])
    row_scale = np.pad(row_scale.astype("<f4"), (0, grow))

    # (block, tile, row, group, half, 16) -> (block, beat, row, 16)
    halves = codes.reshape(blocks, TILES, tile, groups, 2, 16)
    if fmt == WeightFormat.U4:
        halves = (halves[..., 0, :] | halves[..., 1, :] << 4)[..., None, :]
    beats = halves.transpose(0, 1, 3, 4, 2, 5).reshape(blocks, -1, beat_bytes)

    # (block, tile, row, group) -> (block, group beat, row)
    pairs = scale.reshape(blocks, TILES, tile, groups).transpose(0, 1, 3, 2)
    if fmt == WeightFormat.U4:
        pairs = np.stack([pairs, centre.reshape(blocks, TILES, tile, groups)
                          .transpose(0, 1, 3, 2)], -1)
    pairs = pairs.reshape(blocks, -1)
    run = SCALE_RUN[fmt]
    runs = -(-beats.shape[1] // run)
    pairs = np.pad(pairs, [(0, 0), (0, runs * beat_bytes - pairs.shape[1])])
    pairs = pairs.reshape(blocks, runs, beat_bytes)

    out = [row_scale.view(np.uint8).reshape(blocks, 1, beat_bytes)]
    for n in range(runs):
        out += [pairs[:, n:n + 1], beats[:, n * run:(n + 1) * run]]
    padding = block_beats(fmt, groups, beat_bytes) - 1 - runs - beats.shape[1]
    out.append(np.zeros((blocks, padding, beat_bytes), np.uint8))
    data = np.concatenate(out, 1).tobytes()
    return data + bytes(-len(data) % UNIT_BYTES)


def unpack(fmt, data, rows, groups, beat_bytes):
    """Undo :func:`pack`. Returns codes, scale, centre, row_scale; `centre` is zero in S8."""
    tile, blocks = beat_bytes // 16, -(-rows // (beat_bytes // 4))
    total, run = block_beats(fmt, groups, beat_bytes), SCALE_RUN[fmt]
    beats = np.frombuffer(data, np.uint8, blocks * total * beat_bytes)
    beats = beats.reshape(blocks, total, beat_bytes)
    weights = TILES * groups * BEATS_PER_GROUP[fmt]
    body = np.arange(1, 1 + weights + -(-weights // run))
    is_scale = (body - 1) % (run + 1) == 0
    row_scale = np.ascontiguousarray(beats[:, 0]).view("<f4").reshape(-1)[:rows]

    codes = beats[:, body[~is_scale]].reshape(blocks, TILES, groups, BEATS_PER_GROUP[fmt], tile, 16)
    if fmt == WeightFormat.U4:
        codes = np.concatenate([codes & 15, codes >> 4], 3)
    codes = codes.transpose(0, 1, 4, 2, 3, 5).reshape(-1, groups * GROUP)[:rows]

    pairs = beats[:, body[is_scale]].reshape(blocks, -1)
    width = 2 if fmt == WeightFormat.U4 else 1
    pairs = pairs[:, :TILES * groups * tile * width].reshape(blocks, TILES, groups, tile, width)
    pairs = pairs.transpose(4, 0, 1, 3, 2).reshape(width, -1, groups)[:, :rows]
    scale = pairs[0]
    centre = pairs[1].view(np.int8) if fmt == WeightFormat.U4 else np.zeros(scale.shape, np.int8)
    return (codes if fmt == WeightFormat.U4 else codes.view(np.int8)), scale, centre, row_scale
