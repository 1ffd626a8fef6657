"""Sparse weight formats: N non-zero weights of every 16, chosen block by block (FlightLLM).

``SPARSE4`` and ``SPARSE8`` hold codes of 4 and 8 bits, in two's complement; a weight is
row_scale * code. Blocks of 16 elements along K have each their own number n of slots for non-zero
weights in a row; a block of zeros takes no beat.

A *stripe* is 16 N rows (N = beat_bytes / 16): row i * N + l of it is row i of lane l, and a lane is
16 bytes of every beat. A stripe is four beats of fp32 row scales; then, along K, its blocks. The
lanes' blocks lie side by side and share their mode, so on N lanes n is the largest of N blocks
that lie above each other.

A header beat comes before every 32 N blocks, four bits a block, first block lowest: in bits 2:0 the
:class:`Mode`, in bit 3 whether it is the last block stored of its stripe, after which the stripe has
neither blocks nor headers. A stripe of zeros has its first block stored, in the mode with the fewest
beats. Then, for each block that is no block of zeros, per lane: the codes, ordered [row][slot], in
code beats of 32 nibbles or 16 bytes, first slot lowest; right before the first of as many code beats
as one index beat serves, that beat, with `INDEX_BITS` bits a slot, first code beat lowest. A slot's
element in its block is its index; in 2:4 it is index + 4 * (slot / 2); in a dense block, slot j is
element j. A row's slots are in the order of their elements; spare ones, code and index zero, come
last, in 2:4 of their two. The whole matrix is padded with zeros to `UNIT_BYTES`.
"""

import enum

import numpy as np

from .config import GROUP, PATTERNS, UNIT_BYTES
from .isa import WeightFormat


__all__ = ["BLOCK", "Mode", "SLOTS", "INDEX_BITS", "MODES", "code_beats", "index_beats", "beats_of",
           "choose", "walk", "stream_units", "pack", "unpack"]


BLOCK = 16        # Elements along K, and rows of a lane, that share a mode.


class Mode(enum.IntEnum):
    """How a block's non-zero weights are stored."""
    ZERO = 0
    N2 = 1        # up to 2 of 16
    N4 = 2        # up to 4 of 16
    N8 = 3        # up to 8 of 16
    DENSE = 4     # all 16
    PAIRS = 5     # up to 2 of every 4


SLOTS = {Mode.ZERO: 0, Mode.N2: 2, Mode.N4: 4, Mode.N8: 8, Mode.DENSE: 16, Mode.PAIRS: 8}
INDEX_BITS = {Mode.ZERO: 0, Mode.N2: 4, Mode.N4: 4, Mode.N8: 4, Mode.DENSE: 0, Mode.PAIRS: 2}
MODES = {"2:16": Mode.N2, "4:16": Mode.N4, "8:16": Mode.N8, "2:4": Mode.PAIRS}   # by pattern


def _lane_slots(fmt):
    """Slots of a lane in a code beat."""
    return 32 if fmt == WeightFormat.SPARSE4 else 16


def code_beats(fmt, mode):
    """Code beats of a block."""
    return BLOCK * SLOTS[mode] // _lane_slots(fmt)


def beats_per_index(fmt, mode):
    """Code beats that an index beat serves; 0 without an index."""
    return 128 // (_lane_slots(fmt) * INDEX_BITS[mode]) if INDEX_BITS[mode] else 0


def index_beats(fmt, mode):
    """Index beats of a block."""
    serves = beats_per_index(fmt, mode)
    return -(-code_beats(fmt, mode) // serves) if serves else 0


def beats_of(fmt, mode):
    """Beats of a block."""
    return code_beats(fmt, mode) + index_beats(fmt, mode)


def choose(fmt, nonzero, patterns=PATTERNS):
    """Modes with the fewest beats: `nonzero` bool (blocks, rows, BLOCK) to :class:`Mode` numbers (blocks,).

    Of two modes with the same number of beats it is the one with fewer slots to multiply.
    """
    most = nonzero.sum(-1).max(-1)
    quads = nonzero.reshape(*nonzero.shape[:-1], 4, 4).sum(-1).max((-1, -2))
    able = {Mode.DENSE: most >= 0, Mode.ZERO: most == 0}
    for pattern in patterns:
        mode = MODES[pattern]
        able[mode] = quads <= 2 if mode == Mode.PAIRS else most <= SLOTS[mode]
    chosen = np.full(len(nonzero), Mode.DENSE, np.uint8)
    for mode in sorted(able, key=lambda m: (beats_of(fmt, m), SLOTS[m]), reverse=True):
        chosen[able[mode]] = mode
    return chosen


def _slots(mode, codes):
    """Codes and indices of a block in slots: (lanes, rows, BLOCK) to two (lanes, rows, slots)."""
    count = SLOTS[mode]
    if mode == Mode.DENSE:
        return codes, np.zeros(codes.shape, np.uint8)
    parts = codes.reshape(*codes.shape[:-1], 4, 4) if mode == Mode.PAIRS else codes[..., None, :]
    per = 2 if mode == Mode.PAIRS else count
    # Non-zero weights first, in their order.
    index = np.argsort(parts == 0, axis=-1, kind="stable")[..., :per]
    values = np.take_along_axis(parts, index, -1)
    index = np.where(values == 0, 0, index).astype(np.uint8)
    shape = (*codes.shape[:-1], count)
    return values.reshape(shape), index.reshape(shape)


def _lane_bytes(values, bits):
    """Pack fields of `bits` bits, low ones first: uint8 (lanes, count) to (lanes, beats, 16) bytes."""
    fields = values[..., None] >> np.arange(bits, dtype=np.uint8) & 1
    packed = np.packbits(fields.reshape(len(values), -1), -1, bitorder="little")
    return np.pad(packed, [(0, 0), (0, -packed.shape[1] % 16)]).reshape(len(values), -1, 16)


def _lane_fields(beats, bits, count):
    """Undo :func:`_lane_bytes`."""
    fields = np.unpackbits(beats.reshape(len(beats), -1), axis=-1, bitorder="little")
    fields = fields[:, :count * bits].reshape(len(beats), count, bits)
    return (fields << np.arange(bits, dtype=np.uint8)).sum(-1, dtype=np.uint8)


def pack(fmt, codes, row_scale, beat_bytes, patterns=PATTERNS):
    """Pack a matrix of codes, int8 (rows, K), in the modes of these `patterns`. Returns bytes, a
    multiple of `UNIT_BYTES`."""
    rows, depth = codes.shape
    if depth % GROUP:
        raise ValueError(f"K must be a multiple of {GROUP}, not {depth}")
    bits = 4 if fmt == WeightFormat.SPARSE4 else 8
    low, high = codes.min(initial=0), codes.max(initial=0)
    if low < -1 << bits - 1 or high >= 1 << bits - 1:
        raise ValueError(f"Codes must fit in {bits} bits, not {low} to {high}")
    lanes = beat_bytes // 16
    stripes = -(-rows // (BLOCK * lanes))
    grow = stripes * BLOCK * lanes - rows
    row_scale = np.pad(row_scale.astype("<f4"), (0, grow)).reshape(stripes, -1)
    # (stripe, block, lane, row, element)
    parts = np.pad(codes, [(0, grow), (0, 0)]).reshape(stripes, BLOCK, lanes, depth // BLOCK, BLOCK)
    parts = parts.transpose(0, 3, 2, 1, 4)
    out = []
    for scales, blocks in zip(row_scale, parts):
        modes = choose(fmt, blocks.reshape(len(blocks), -1, BLOCK) != 0, patterns)
        if not modes.any():
            modes[0] = _least(fmt, patterns)
        last = np.flatnonzero(modes)[-1]
        headers = np.pad(modes, (0, -len(modes) % (32 * lanes)))
        headers[last] |= 8
        headers = (headers[::2] | headers[1::2] << 4).reshape(-1, beat_bytes)
        out.append(scales.tobytes())
        for b in range(last + 1):
            if b % (32 * lanes) == 0:
                out.append(headers[b // (32 * lanes)].tobytes())
            if modes[b]:
                out.append(_block_bytes(fmt, Mode(modes[b]), blocks[b], bits))
    data = b"".join(out)
    return data + bytes(-len(data) % UNIT_BYTES)


def _least(fmt, patterns):
    """The mode in which a block of zeros is stored when it must be."""
    return min([MODES[p] for p in patterns] + [Mode.DENSE], key=lambda m: (beats_of(fmt, m), SLOTS[m]))


def _block_bytes(fmt, mode, codes, bits):
    """One block: codes (lanes, rows, BLOCK)."""
    values, index = _slots(mode, codes)
    lanes = len(codes)
    code = _lane_bytes(values.reshape(lanes, -1).view(np.uint8), bits).swapaxes(0, 1)
    serves = beats_per_index(fmt, mode)
    if not serves:
        return code.tobytes()
    index = _lane_bytes(index.reshape(lanes, -1), INDEX_BITS[mode]).swapaxes(0, 1)
    return b"".join(index[n].tobytes() + code[n * serves:(n + 1) * serves].tobytes()
                    for n in range(len(index)))


def walk(fmt, data, rows, groups, beat_bytes):
    """Find the blocks of a packed matrix. Yields (stripe, block, mode, first beat), and at the end the
    number of beats as (stripes, None, None, beats)."""
    beats = np.frombuffer(data, np.uint8)
    beats = beats[:len(beats) // beat_bytes * beat_bytes].reshape(-1, beat_bytes)
    lanes, at = beat_bytes // 16, 0
    stripes = -(-rows // (BLOCK * lanes))
    for stripe in range(stripes):
        at += 4
        for block in range(groups * GROUP // BLOCK):
            if block % (32 * lanes) == 0:
                header, at = beats[at], at + 1
            place = block % (32 * lanes)
            nibble = int(header[place // 2]) >> 4 * (place % 2) & 15
            mode = Mode(nibble & 7)
            if mode:
                yield stripe, block, mode, at
            at += beats_of(fmt, mode)
            if nibble & 8:
                break
    yield stripes, None, None, at


def stream_units(fmt, data, rows, groups, beat_bytes):
    """Units of the packed matrix that `data` begins with."""
    *_, (_, _, _, beats) = walk(fmt, data, rows, groups, beat_bytes)
    return -(-beats * beat_bytes // UNIT_BYTES)


def unpack(fmt, data, rows, groups, beat_bytes):
    """Undo :func:`pack`. Returns codes, int8 (rows, K), and row_scale, float32 (rows,)."""
    lanes, depth = beat_bytes // 16, groups * GROUP
    bits = 4 if fmt == WeightFormat.SPARSE4 else 8
    stripes = -(-rows // (BLOCK * lanes))
    beats = np.frombuffer(data, np.uint8)
    beats = beats[:len(beats) // beat_bytes * beat_bytes].reshape(-1, lanes, 16)
    codes = np.zeros((stripes, depth // BLOCK, lanes, BLOCK, BLOCK), np.int8)
    starts, begin, scales = {}, 0, []
    for stripe, block, mode, at in walk(fmt, data, rows, groups, beat_bytes):
        if block is None:
            break
        starts.setdefault(stripe, begin)
        begin = at + beats_of(fmt, mode)   # where the next stripe begins, if this is the last block
        count, serves = BLOCK * SLOTS[mode], beats_per_index(fmt, mode)
        body = np.arange(beats_of(fmt, mode))
        is_index = body % (serves + 1) == 0 if serves else body < 0
        part = beats[at:at + len(body)].swapaxes(0, 1)
        values = _lane_fields(part[:, ~is_index], bits, count)
        values = (values << 8 - bits).view(np.int8) >> 8 - bits
        place = np.tile(np.arange(SLOTS[mode]), BLOCK) if mode == Mode.DENSE else \
            _lane_fields(part[:, is_index], INDEX_BITS[mode], count)
        if mode == Mode.PAIRS:
            place = place + 4 * (np.arange(count) % 8 // 2)
        row = np.arange(count) // SLOTS[mode]
        for lane in range(lanes):
            # Spare slots are zero, and may name an element that another slot has.
            used = np.flatnonzero(values[lane])
            place_of = place if place.ndim == 1 else place[lane]
            codes[stripe, block, lane, row[used], place_of[used]] = values[lane, used]
    for stripe in range(stripes):
        scales.append(beats[starts[stripe]:starts[stripe] + 4].reshape(-1).view("<f4"))
    codes = codes.transpose(0, 3, 2, 1, 4).reshape(-1, depth)[:rows]
    return np.ascontiguousarray(codes), np.concatenate(scales)[:rows]
