"""Stripes: the layout that the sparse formats share, N non-zero weights of every 16 (FlightLLM).

Codes of 4 or 8 bits are in two's complement; a weight is row_scale * code. Blocks of 16 elements
along K have each their own number n of slots for non-zero weights in a row; a block of zeros takes
no beat.

A *stripe* is 16 N rows (N = word_bytes / 16): row i * N + l of it is row i of lane l, and a lane is
16 bytes of every beat. A stripe is four beats of fp32 row scales; then, along K, its blocks. The
lanes' blocks lie side by side and share their mode, so on N lanes n is the largest of N blocks
that lie above each other.

A header beat comes before every 32 N blocks, four bits a block, first block lowest: in bits 2:0 the
:class:`~rtl.spec.sparse_modes.Mode`, in bit 3 whether it is the last block stored of its stripe,
after which the stripe has neither blocks nor headers. A stripe of zeros has its first block stored,
in the mode with the fewest beats.

Then, for each block that is no block of zeros, per lane: the codes, ordered [row][slot], in code
beats of 32 nibbles or 16 bytes, first slot lowest; right before the first of as many code beats as
one index beat serves, that beat, with `INDEX_BITS` bits a slot, first code beat lowest. A slot's
element in its block is its index; in 2:4 it is index + 4 * (slot / 2); in a dense block, slot j is
element j. A row's slots are in the order of their elements; spare ones, code and index zero, come
last, in 2:4 of their two. The whole matrix is padded with zeros to `UNIT_BYTES`.
"""

import numpy as np

from ..numbers import GROUP, LANE_BYTES, UNIT_BYTES
from ..sparse_modes import BLOCK, INDEX_BITS, MODES, PATTERNS, SLOTS, Mode
from .format import Format


__all__ = ["Stripes"]


HEADER_BLOCKS = 8 * LANE_BYTES // 4  # of a header beat, per lane


class Stripes(Format):
    """A format in stripes, of signed codes of `code_bits` bits."""

    sparse = True
    expands = True
    tile_slices = BLOCK

    @property
    def low(self):
        """Least code."""
        return -1 << self.code_bits - 1

    @property
    def high(self):
        """Greatest code."""
        return (1 << self.code_bits - 1) - 1

    @property
    def elements(self):
        """Elements along K of a step."""
        return BLOCK

    @property
    def lane_slots(self):
        """Slots of a lane in a code beat."""
        return 8 * LANE_BYTES // self.code_bits

    def step_slices(self, mode=None):
        """Slices of N rows of a code beat of a block in `mode`."""
        return BLOCK // self.code_beats(mode)

    def code_beats(self, mode):
        """Code beats of a block."""
        return BLOCK * SLOTS[mode] // self.lane_slots

    def beats_per_index(self, mode):
        """Code beats that an index beat serves; 0 without an index."""
        return 8 * LANE_BYTES // (self.lane_slots * INDEX_BITS[mode]) if INDEX_BITS[mode] else 0

    def index_beats(self, mode):
        """Index beats of a block."""
        serves = self.beats_per_index(mode)
        return -(-self.code_beats(mode) // serves) if serves else 0

    def beats_of(self, mode):
        """Beats of a block."""
        return self.code_beats(mode) + self.index_beats(mode)

    def _cost(self, mode):
        """What the choice of a mode minimizes: beats, then slots to multiply."""
        return self.beats_of(mode), SLOTS[mode]

    def choose(self, nonzero, patterns=PATTERNS):
        """Modes with the fewest beats: `nonzero` bool (blocks, rows, BLOCK) to numbers (blocks,).

        Of two modes with the same number of beats it is the one with fewer slots.
        """
        most = nonzero.sum(-1).max(-1)
        quads = nonzero.reshape(*nonzero.shape[:-1], 4, 4).sum(-1).max((-1, -2))
        able = {Mode.DENSE: most >= 0, Mode.ZERO: most == 0}
        for pattern in patterns:
            mode = MODES[pattern]
            able[mode] = quads <= 2 if mode == Mode.PAIRS else most <= SLOTS[mode]
        chosen = np.full(len(nonzero), Mode.DENSE, np.uint8)
        for mode in sorted(able, key=self._cost, reverse=True):
            chosen[able[mode]] = mode
        return chosen

    def check(self, codes):
        super().check(codes)
        low, high = codes.min(initial=0), codes.max(initial=0)
        if low < self.low or high > self.high:
            raise ValueError(f"Codes must fit in {self.code_bits} bits, not {low} to {high}")

    def rows_apart(self, word_bytes):
        return BLOCK * word_bytes // LANE_BYTES

    def beats(self, codes, scale, centre, row_scale, word_bytes, patterns=None):
        self.check(codes)
        patterns = PATTERNS if patterns is None else patterns
        rows, depth = codes.shape
        lanes = word_bytes // LANE_BYTES
        stripes = -(-rows // (BLOCK * lanes))
        grow = stripes * BLOCK * lanes - rows
        row_scale = np.pad(row_scale.astype("<f4"), (0, grow)).reshape(stripes, -1)
        # (stripe, block, lane, row, element)
        parts = np.pad(codes, [(0, grow), (0, 0)])
        parts = parts.reshape(stripes, BLOCK, lanes, depth // BLOCK, BLOCK).transpose(0, 3, 2, 1, 4)
        return b"".join(
            scales.tobytes() + self._stripe(blocks, patterns)
            for scales, blocks in zip(row_scale, parts)
        )

    def _stripe(self, blocks, patterns):
        """Headers and blocks of a stripe: codes (blocks, lanes, rows, BLOCK)."""
        per_header = HEADER_BLOCKS * blocks.shape[1]
        modes = self.choose(blocks.reshape(len(blocks), -1, BLOCK) != 0, patterns)
        if not modes.any():
            # A block of zeros that must be stored.
            modes[0] = min([MODES[p] for p in patterns] + [Mode.DENSE], key=self._cost)
        last = np.flatnonzero(modes)[-1]
        headers = np.pad(modes, (0, -len(modes) % per_header))
        headers[last] |= 8
        headers = (headers[::2] | headers[1::2] << 4).reshape(-1, per_header // 2)
        out = []
        for b in range(last + 1):
            if b % per_header == 0:
                out.append(headers[b // per_header].tobytes())
            if modes[b]:
                out.append(self._block(Mode(modes[b]), blocks[b]))
        return b"".join(out)

    def _block(self, mode, codes):
        """One block: codes (lanes, rows, BLOCK)."""
        values, index = to_slots(mode, codes)
        lanes = len(codes)
        code = lane_bytes(values.reshape(lanes, -1).view(np.uint8), self.code_bits).swapaxes(0, 1)
        serves = self.beats_per_index(mode)
        if not serves:
            return code.tobytes()
        index = lane_bytes(index.reshape(lanes, -1), INDEX_BITS[mode]).swapaxes(0, 1)
        return b"".join(
            index[n].tobytes() + code[n * serves : (n + 1) * serves].tobytes()
            for n in range(len(index))
        )

    def walk(self, data, rows, groups, word_bytes):
        """Find the blocks of a packed matrix.

        Yields (stripe, block, mode, first beat), at the end (stripes, None, None, beats).
        """
        beats = np.frombuffer(data, np.uint8)
        beats = beats[: len(beats) // word_bytes * word_bytes].reshape(-1, word_bytes)
        lanes, at = word_bytes // LANE_BYTES, 0
        stripes = -(-rows // (BLOCK * lanes))
        for stripe in range(stripes):
            at += 4
            for block in range(groups * GROUP // BLOCK):
                place = block % (HEADER_BLOCKS * lanes)
                if place == 0:
                    header, at = beats[at], at + 1
                nibble = int(header[place // 2]) >> 4 * (place % 2) & 15
                mode = Mode(nibble & 7)
                if mode:
                    yield stripe, block, mode, at
                at += self.beats_of(mode)
                if nibble & 8:
                    break
        yield stripes, None, None, at

    def stream_units(self, rows, groups, word_bytes, data=None):
        *_, (_, _, _, beats) = self.walk(data, rows, groups, word_bytes)
        return -(-beats * word_bytes // UNIT_BYTES)

    def unpack(self, data, rows, groups, word_bytes):
        lanes, depth = word_bytes // LANE_BYTES, groups * GROUP
        stripes = -(-rows // (BLOCK * lanes))
        beats = np.frombuffer(data, np.uint8)
        beats = beats[: len(beats) // word_bytes * word_bytes].reshape(-1, lanes, LANE_BYTES)
        codes = np.zeros((stripes, depth // BLOCK, lanes, BLOCK, BLOCK), np.int8)
        starts, begin = {}, 0
        for stripe, block, mode, at in self.walk(data, rows, groups, word_bytes):
            if block is None:
                break
            starts.setdefault(stripe, begin)
            begin = at + self.beats_of(mode)  # of the next stripe, if this block is the last
            self._read(mode, beats[at:begin].swapaxes(0, 1), codes[stripe, block])
        scales = [beats[starts[n] : starts[n] + 4].reshape(-1).view("<f4") for n in range(stripes)]
        codes = np.ascontiguousarray(codes.transpose(0, 3, 2, 1, 4).reshape(-1, depth)[:rows])
        return (
            codes,
            np.ones((rows, groups), np.uint8),
            np.zeros((rows, groups), np.int8),
            np.concatenate(scales)[:rows],
        )

    def _read(self, mode, beats, codes):
        """Read a block, bytes (lanes, beats, 16), to `codes` (lanes, rows, BLOCK), which are
        zeros.
        """
        count, serves, bits = BLOCK * SLOTS[mode], self.beats_per_index(mode), self.code_bits
        body = np.arange(self.beats_of(mode))
        is_index = body % (serves + 1) == 0 if serves else body < 0
        values = lane_fields(beats[:, ~is_index], bits, count)
        values = (values << 8 - bits).view(np.int8) >> 8 - bits
        place = (
            np.tile(np.arange(SLOTS[mode]), BLOCK)
            if mode == Mode.DENSE
            else lane_fields(beats[:, is_index], INDEX_BITS[mode], count)
        )
        if mode == Mode.PAIRS:
            place = place + 4 * (np.arange(count) % 8 // 2)
        row = np.arange(count) // SLOTS[mode]
        for lane, own in enumerate(codes):
            # Spare slots are zero, and may name an element that another slot has.
            used = np.flatnonzero(values[lane])
            places = place if place.ndim == 1 else place[lane]
            own[row[used], places[used]] = values[lane, used]


def to_slots(mode, codes):
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


def lane_bytes(values, bits):
    """Pack fields of `bits` bits, low ones first: uint8 (lanes, count) to (lanes, beats, 16)."""
    fields = values[..., None] >> np.arange(bits, dtype=np.uint8) & 1
    packed = np.packbits(fields.reshape(len(values), -1), -1, bitorder="little")
    return np.pad(packed, [(0, 0), (0, -packed.shape[1] % LANE_BYTES)]).reshape(
        len(values), -1, LANE_BYTES
    )


def lane_fields(beats, bits, count):
    """Undo :func:`lane_bytes`."""
    fields = np.unpackbits(beats.reshape(len(beats), -1), axis=-1, bitorder="little")
    fields = fields[:, : count * bits].reshape(len(beats), count, bits)
    return (fields << np.arange(bits, dtype=np.uint8)).sum(-1, dtype=np.uint8)
