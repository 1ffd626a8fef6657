"""Stripes of the sparse formats, as :mod:`rtl.spec.formats.stripes` lays them out: where they are,
and their integers.
"""

import numpy as np

from rtl.spec.numbers import LANE_BYTES as LANE
from rtl.spec.sparse_modes import BLOCK, INDEX_BITS, MODES, SLOTS, Mode

from .kernels import kernel
from .numerics import f32


__all__ = ["ROWS", "EVERY_MODE", "modes_of", "stripes", "stripe"]


ROWS = BLOCK  # of a stripe, per lane
EVERY_MODE = (1 << len(Mode)) - 1  # a bit per mode
SLOT_COUNT, INDEX_WIDTH = (np.array([of[mode] for mode in Mode]) for of in (SLOTS, INDEX_BITS))
SLOT_SHIFT = np.array([SLOTS[mode].bit_length() - 1 for mode in Mode])  # they are powers of two
ZERO, PAIRS, DENSE = Mode.ZERO.value, Mode.PAIRS.value, Mode.DENSE.value
SCALE_BEATS = 4  # fp32 row scales of 16 rows per lane


@kernel
def _beats(bits, mode):
    """Code beats of a block, and code beats that an index beat serves (0 without an index)."""
    slots = 8 * LANE // bits  # of a lane in a beat
    codes = BLOCK * SLOT_COUNT[mode] // slots
    width = INDEX_WIDTH[mode]
    return codes, 8 * LANE // (slots * width) if width else 0


def modes_of(patterns):
    """Modes of blocks that hardware for these patterns takes: a bit per mode."""
    return sum(1 << mode for mode in {Mode.ZERO, Mode.DENSE, *(MODES[p] for p in patterns)})


@kernel
def _header(stream, header, nibble):
    """A block's mode, and whether it is the last of its stripe."""
    value = np.int64(stream[header + nibble // 2]) >> 4 * (nibble % 2) & 15
    return value & 7, value >> 3


@kernel
def stripes(stream, bits, rows, blocks, word_bytes, modes):
    """Bytes at which the stripes of a matrix begin, and at which the last one ends: int64 (stripes
    + 1,).

    `stream` may go on behind it. `blocks` are those of a row, `modes` those that they may have.
    """
    lanes = word_bytes // LANE
    count = -(-rows // (ROWS * lanes))
    found = np.zeros(count + 1, np.int64)
    at = 0
    for n in range(count):
        at += SCALE_BEATS * word_bytes
        header, block, last, mode = at, 0, 0, ZERO
        for block in range(blocks):
            nibble = block % (32 * lanes)
            if nibble == 0:
                header, at = at, at + word_bytes
                if at > len(stream):
                    raise ValueError("the weight stream holds less than the matrix")
            mode, last = _header(stream, header, nibble)
            if not modes >> mode & 1:
                raise ValueError("a block of the sparse matrix has a mode that there is none of")
            codes, serves = _beats(bits, mode)
            at += (codes + (-(-codes // serves) if serves else 0)) * word_bytes
            if last:
                break
        if not last or mode == ZERO:
            raise ValueError("a stripe of the sparse matrix has no last block with codes")
        for nibble in range(block % (32 * lanes) + 1, 32 * lanes):
            if _header(stream, header, nibble)[0]:
                raise ValueError("a stripe of the sparse matrix has blocks after its last one")
        found[n + 1] = at
    if at > len(stream):
        raise ValueError("the weight stream holds less than the matrix")
    return found


@kernel
def stripe(stream, at, bits, word_bytes, integers):
    """Read the stripe at byte `at` to `integers` (16 * lanes, K), float32.

    Raises :exc:`ValueError` where two slots of a row have the same element.
    """
    lanes, slots, depth = word_bytes // LANE, 8 * LANE // bits, integers.shape[1]
    values = integers.reshape(-1)
    values[:] = f32(0)
    at += SCALE_BEATS * word_bytes
    header = index = at
    for block in range(depth // BLOCK):
        nibble = block % (32 * lanes)
        if nibble == 0:
            header, at = at, at + word_bytes
        mode, last = _header(stream, header, nibble)
        codes, serves = _beats(bits, mode)
        shift, width = SLOT_SHIFT[mode], INDEX_WIDTH[mode]
        mask = (1 << width) - 1
        # What a slot's own number adds to its element: all of it, or the four elements that it is
        # of.
        own, half = (1 << shift) - 1 if mode == DENSE else 0, 3 if mode == PAIRS else 0
        for beat in range(codes):
            if serves and beat % serves == 0:
                index, at = at, at + word_bytes
            for lane in range(lanes):
                first_bit = beat % serves * slots * width if serves else 0
                for n in range(slots):
                    code = np.int64(np.int8(stream[at + lane * LANE + (n * bits >> 3)]))
                    if bits == 4:
                        code = code >> 4 if n & 1 else (code & 15 ^ 8) - 8
                    place = beat * slots + n
                    bit = first_bit + n * width
                    element = stream[index + lane * LANE + (bit >> 3)] >> (bit & 7) & mask
                    element += (place & own) + (place >> 1 & half) * 4
                    if code:
                        to = ((place >> shift) * lanes + lane) * depth + block * BLOCK + element
                        if values[to]:
                            raise ValueError("a row of the sparse matrix has an element twice")
                        values[to] = f32(code)
            at += word_bytes
        if last:
            break
