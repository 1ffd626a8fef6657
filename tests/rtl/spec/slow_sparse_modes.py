"""Sparse matrices, and their packer and unpacker written from :mod:`rtl.spec.formats.stripes`'
description alone.
"""

import itertools
import struct

import numpy as np

from rtl.spec.config import PATTERNS, UNIT_BYTES
from rtl.spec.isa import WeightFormat


CODE_BITS = {WeightFormat.SPARSE4: 4, WeightFormat.SPARSE8: 8}
# Slots and bits of an index, by number of the mode.
NUMBERS = {1: (2, 4), 2: (4, 4), 3: (8, 4), 4: (16, 0), 5: (8, 2)}
PATTERN_OF = {1: "2:16", 2: "4:16", 3: "8:16", 5: "2:4"}


def nonzero_row(mode, rng, full):
    """Which of a row's 16 weights are not zero: as many as the mode can hold, or fewer."""
    row = np.zeros(16, bool)
    if mode == 5:
        for quad in range(4):
            row[quad * 4 + rng.permutation(4)[: 2 if full else rng.integers(3)]] = True
    elif mode:
        slots = NUMBERS[mode][0]
        if full:  # not in pairs
            row[: min(slots, 3)] = True
            row[3 + rng.permutation(13)[: max(slots - 3, 0)]] = True
        else:
            row[rng.permutation(16)[: rng.integers(slots + 1)]] = True
    return row


def matrix(fmt, rows, depth, beat_bytes, seed=11, modes=range(6)):
    """Random codes and row scales: each block needs one of `modes`, for the sake of a single
    row.
    """
    rng = np.random.default_rng(seed)
    low, high = -1 << CODE_BITS[fmt] - 1, (1 << CODE_BITS[fmt] - 1) - 1
    codes = rng.integers(low, high + 1, (rows, depth))
    codes[codes == 0] = low
    codes.flat[0], codes.flat[-1] = low, high
    for top in range(0, rows, beat_bytes):
        for first in range(0, depth, 16):
            mode, bottom = rng.choice(list(modes)), min(rows, top + beat_bytes)
            needs = rng.integers(top, bottom)
            for row in range(top, bottom):
                codes[row, first : first + 16] *= nonzero_row(mode, rng, row == needs)
    return codes.astype(np.int8), rng.standard_normal(rows).astype(np.float32)


def slow_slots(row, mode):
    """(code, index) of the slots that hold a row's 16 weights; None when they are too many."""
    count, _ = NUMBERS[mode]
    if mode == 4:
        return [(code, 0) for code in row]
    parts = [row[n : n + 4] for n in (0, 4, 8, 12)] if mode == 5 else [row]
    slots = []
    for part in parts:
        used = [(code, index) for index, code in enumerate(part) if code]
        if len(used) > count // len(parts):
            return None
        slots += used + [(0, 0)] * (count // len(parts) - len(used))
    return slots


def lane_word(values, bits):
    """Fields of so many bits, the first one lowest, as the 16 bytes of a lane."""
    word = 0
    for n, value in enumerate(values):
        word |= (value & (1 << bits) - 1) << n * bits
    return word.to_bytes(16, "little")


def slow_block(fmt, mode, block):
    """Beats of a block (lane, row, element); None when the mode cannot hold it."""
    lanes = []
    for lane in block:
        rows = [slow_slots(row, mode) for row in lane]
        if None in rows:
            return None
        lanes.append(sum(rows, []))
    per_beat, bits = 128 // CODE_BITS[fmt], NUMBERS[mode][1]
    serves = 128 // (per_beat * bits) if bits else len(lanes[0])
    beats = []
    for n, first in enumerate(range(0, len(lanes[0]), per_beat)):
        if bits and n % serves == 0:
            served = [lane[first : first + serves * per_beat] for lane in lanes]
            beats.append(b"".join(lane_word([index for _, index in lane], bits) for lane in served))
        own = [lane[first : first + per_beat] for lane in lanes]
        beats.append(
            b"".join(lane_word([code for code, _ in lane], CODE_BITS[fmt]) for lane in own)
        )
    return beats


def slow_cheapest(fmt, block, patterns, stored=False):
    """Mode and beats of a block: the fewest beats, then the fewest slots; 0 unless it must be
    stored.
    """
    if not stored and not any(code for lane in block for row in lane for code in row):
        return 0, []
    able = [
        (mode, slow_block(fmt, mode, block))
        for mode in NUMBERS
        if mode == 4 or PATTERN_OF[mode] in patterns
    ]
    return min(
        ((mode, beats) for mode, beats in able if beats is not None),
        key=lambda able: (len(able[1]), NUMBERS[able[0]][0]),
    )


def slow_beats(fmt, codes, row_scale, beat_bytes, patterns=PATTERNS):
    """A packed matrix, beat after beat, in the words of the description."""
    rows, depth = codes.shape
    lanes, out = beat_bytes // 16, []

    def block(top, b):
        at = [[top + i * lanes + lane for i in range(16)] for lane in range(lanes)]
        return [
            [
                [int(code) for code in codes[row, 16 * b : 16 * b + 16]] if row < rows else [0] * 16
                for row in lane
            ]
            for lane in at
        ]

    for top in range(0, rows, 16 * lanes):
        scales = [
            struct.pack("<f", row_scale[row] if row < rows else 0)
            for row in range(top, top + 16 * lanes)
        ]
        out += [b"".join(scales[n : n + 4 * lanes]) for n in range(0, 16 * lanes, 4 * lanes)]
        chosen = [slow_cheapest(fmt, block(top, b), patterns) for b in range(depth // 16)]
        if not any(mode for mode, _ in chosen):
            chosen[0] = slow_cheapest(fmt, block(top, 0), patterns, stored=True)
        last = max(b for b, (mode, _) in enumerate(chosen) if mode)
        for b, (mode, beats) in enumerate(chosen[: last + 1]):
            if b % (32 * lanes) == 0:
                header = 0
                for n, (its_mode, _) in enumerate(chosen[b : b + 32 * lanes]):
                    header |= (its_mode | (8 if b + n == last else 0)) << 4 * n
                out.append(header.to_bytes(beat_bytes, "little"))
            out += beats
    return out


def slow_pack(*args):
    """A packed matrix, bytes."""
    data = b"".join(slow_beats(*args))
    return data + bytes(-len(data) % UNIT_BYTES)


def slow_unpack(fmt, data, rows, depth, beat_bytes):
    """Codes, row scales and number of beats, read as hardware does: beat after beat, as the headers
    say.
    """
    lanes, bits = beat_bytes // 16, CODE_BITS[fmt]
    beats = (data[n : n + beat_bytes] for n in itertools.count(0, beat_bytes))
    taken = 0

    def beat():
        nonlocal taken
        taken += 1
        return next(beats)

    def fields(word, width, count):
        return [word >> n * width & (1 << width) - 1 for n in range(count)]

    def words(of):
        return [int.from_bytes(of[16 * lane : 16 * lane + 16], "little") for lane in range(lanes)]

    stripes = -(-rows // (16 * lanes))
    codes, scales = np.zeros((stripes * 16 * lanes, depth), np.int8), []
    for top in range(0, stripes * 16 * lanes, 16 * lanes):
        scales += [value for _ in range(4) for (value,) in struct.iter_unpack("<f", beat())]
        for b in range(depth // 16):
            if b % (32 * lanes) == 0:
                header = fields(int.from_bytes(beat(), "little"), 4, 32 * lanes)
            nibble = header[b % (32 * lanes)]
            mode = nibble & 7
            if mode:
                slots, width = NUMBERS[mode]
                per_beat = 128 // bits
                for first in range(0, 16 * slots, per_beat):
                    if width and first * width % 128 == 0:
                        index = words(beat())
                    for lane, word in enumerate(words(beat())):
                        for n, code in enumerate(fields(word, bits, per_beat)):
                            row, slot = divmod(first + n, slots)
                            element = slot
                            if width:
                                element = (
                                    index[lane] >> (first + n) * width % 128 & (1 << width) - 1
                                )
                                element += slot // 2 * 4 if mode == 5 else 0
                            # Spare slots add nothing to what their element has.
                            codes[top + row * lanes + lane, 16 * b + element] += code - (
                                code >> bits - 1 << bits
                            )
            if nibble & 8:
                break
    return codes[:rows], np.array(scales, np.float32)[:rows], taken
