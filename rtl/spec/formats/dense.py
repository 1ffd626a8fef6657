"""Blocks of whole rows: the layout that all dense formats share.

A *step* is what the core multiplies at once: rows side by side, times one group of columns. The
fewer bits a weight has, the more rows a beat of `word_bytes` holds (N = word_bytes / 16).

A block of `block_rows` (word_bytes / 4, 4 N) rows is: one beat of fp32 row scales; then, tile of
rows after tile and group after group, the beats of the steps. A scale beat comes before those of
every `scale_run` steps: the bytes of the format's `parts`, ordered [group step][row][part]. Where
codes are longer than their beats hold, a beat with the high bits of `high_run` steps comes next,
ordered [row][step]. The whole matrix is padded with zeros to `UNIT_BYTES`; every 16
rows, of one to four blocks, are whole units, so that they have an address.
"""

from abc import abstractmethod

import numpy as np

from ..numbers import GROUP, LANE_BYTES, TILES, UNIT_BYTES
from .format import Format


__all__ = ["Dense"]


class Dense(Format):
    """A format in blocks of rows.

    Attributes
    ----------
    step_rows : :class:`int`
        Rows of a step, times N: 1, 2 or 4.
    steps_per_group : :class:`int`
        Steps of a group of a tile's rows.
    gear : :class:`int`
        Steps of a run that one beat fewer carry (:mod:`~.gear`), or 0: each step has its beat.
    high_bits : :class:`int`
        Bits of a code beyond its nibble, which come in beats of their own: 0, 1 or 2.
    """

    step_rows = 1
    steps_per_group = 1
    gear = 0
    high_bits = 0

    @abstractmethod
    def code_bytes(self, codes):
        """Bytes of steps: codes, uint8 (..., rows, groups, 32), to (..., rows, beats, bytes)."""

    @abstractmethod
    def codes_of(self, beats, groups):
        """Undo :meth:`code_bytes`."""

    def step_bytes(self, codes):
        """Bytes of a step as a core takes it: codes, uint8 (rows, :attr:`elements`), to (rows,
        bytes).

        They are a beat's, unless the format has a gear, whose beats hold more than their own step.
        """
        return self.code_bytes(codes[:, None])[:, 0]

    def high_bytes(self, codes):
        """High bits of steps: codes, uint8 (..., 32), to (..., 4 * high_bits) bytes."""
        raise NotImplementedError

    def with_high(self, codes, high):
        """Codes of nibbles, uint8 (..., 32), and of :meth:`high_bytes`."""
        raise NotImplementedError

    def step_high(self, codes):
        """Bytes of a step beyond :meth:`step_bytes`: codes, uint8 (rows, 32), to (rows, 8 or 0)."""
        return np.zeros((len(codes), 0), np.uint8)

    @property
    def tile_slices(self):
        """Slices of N rows whose sums are complete at the same time."""
        return self.step_rows

    @property
    def tiles(self):
        """Tiles of a block."""
        return TILES // self.step_rows

    @property
    def elements(self):
        """Elements along K of a step."""
        return GROUP // self.steps_per_group

    def cycles(self, groups, aside=True):
        """Steps of a tile that a core takes one after the other; `aside`: hardware has what takes
        the others beside them."""
        beside = groups // self.gear if aside and self.aside else 0
        return groups * self.steps_per_group - beside

    @property
    def scale_run(self):
        """Steps whose scales fill a beat; 0 without scales."""
        if not self.parts:
            return 0
        return self.steps_per_group * LANE_BYTES // (len(self.parts) * self.step_rows)

    @property
    def scale_groups(self):
        """Groups of a tile's rows whose scales fill a beat; 0 without scales."""
        return self.scale_run // self.steps_per_group

    @property
    def high_run(self):
        """Steps whose high bits fill a beat; 0 without high bits."""
        return 8 * LANE_BYTES // (GROUP * self.high_bits) if self.high_bits else 0

    def _beats_of_runs(self, run, groups):
        """Beats of a block of which each serves a run of so many steps."""
        return -(-self.tiles * groups * self.steps_per_group // run) if run else 0

    def block_beats(self, groups, word_bytes):
        """Beats of one block of rows."""
        steps = groups * self.steps_per_group
        if self.gear:
            steps -= steps // self.gear
        beats = 1 + self.tiles * steps
        return beats + sum(
            self._beats_of_runs(run, groups) for run in (self.scale_run, self.high_run)
        )

    def stream_units(self, rows, groups, word_bytes, data=None):
        blocks = -(-rows // (word_bytes // 4))
        return -(-blocks * self.block_beats(groups, word_bytes) * word_bytes // UNIT_BYTES)

    def _places(self, groups):
        """Beats of a block that are codes, that are scales, and that are high bits."""
        codes, scales, highs, at = [], [], [], 1
        count = groups * self.steps_per_group
        for index in range(self.tiles * count):
            for run, places in (self.scale_run, scales), (self.high_run, highs):
                if run and index % run == 0:
                    places.append(at)
                    at += 1
            if not self.gear or index % count % self.gear != self.gear - 1:
                codes.append(at)
                at += 1
        return codes, scales, highs

    def rows_apart(self, word_bytes):
        return word_bytes // 4

    def beats(self, codes, scale, centre, row_scale, word_bytes, patterns=None):
        self.check(codes)
        rows, groups = codes.shape[0], codes.shape[1] // GROUP
        tiles, width = self.tiles, self.step_rows * word_bytes // LANE_BYTES
        blocks = -(-rows // (word_bytes // 4))
        grow = blocks * (word_bytes // 4) - rows
        codes = np.pad(codes.view(np.uint8), [(0, grow), (0, 0)])
        codes = codes.reshape(blocks, tiles, width, groups, GROUP)
        beats = self.code_bytes(codes).swapaxes(-2, -3)

        out = np.zeros((blocks, self.block_beats(groups, word_bytes), word_bytes), np.uint8)
        row_scale = np.pad(row_scale.astype("<f4"), (0, grow)).view(np.uint8)
        out[:, 0] = row_scale.reshape(blocks, word_bytes)
        codes_at, scales_at, highs_at = self._places(groups)
        out[:, codes_at] = beats.reshape(blocks, -1, word_bytes)
        if self.high_bits:
            # (block, step, row, byte) -> (block, beat, row, step of the run, byte)
            highs = self.high_bytes(codes).swapaxes(2, 3).reshape(blocks, tiles * groups, width, -1)
            highs = np.pad(highs, [(0, 0), (0, -highs.shape[1] % self.high_run), (0, 0), (0, 0)])
            highs = highs.reshape(blocks, -1, self.high_run, width, highs.shape[-1])
            out[:, highs_at] = highs.swapaxes(2, 3).reshape(blocks, -1, word_bytes)
        if self.scaled:
            halves = self.group < GROUP
            given = {"scale": scale[:, ::2] if halves else scale, "centre": centre}
            given |= {"upper": scale[:, 1::2]} if halves else {}
            # (block, tile, row, group) -> (block, group step, row)
            parts = np.stack(
                [
                    np.pad(given[part].view(np.uint8), [(0, grow), (0, 0)])
                    .reshape(blocks, tiles, width, groups)
                    .swapaxes(2, 3)
                    for part in self.parts
                ],
                -1,
            ).reshape(blocks, -1)
            runs = len(scales_at)
            parts = np.pad(parts, [(0, 0), (0, runs * word_bytes - parts.shape[1])])
            out[:, scales_at] = parts.reshape(blocks, runs, word_bytes)
        return out.tobytes()

    def unpack(self, data, rows, groups, word_bytes):
        tiles, width = self.tiles, self.step_rows * word_bytes // LANE_BYTES
        blocks, total = -(-rows // (word_bytes // 4)), self.block_beats(groups, word_bytes)
        beats = np.frombuffer(data, np.uint8, blocks * total * word_bytes)
        beats = beats.reshape(blocks, total, word_bytes)
        row_scale = np.ascontiguousarray(beats[:, 0]).view("<f4").reshape(-1)[:rows]
        codes_at, scales_at, highs_at = self._places(groups)
        codes = beats[:, codes_at].reshape(blocks, tiles, -1, width, word_bytes // width)
        codes = self.codes_of(codes.swapaxes(-2, -3), groups)
        if self.high_bits:
            highs = beats[:, highs_at].reshape(blocks, -1, width, self.high_run, 4 * self.high_bits)
            highs = highs.swapaxes(2, 3).reshape(blocks, -1, width, highs.shape[-1])
            highs = highs[:, : tiles * groups].reshape(blocks, tiles, groups, width, -1)
            codes = self.with_high(codes, highs.swapaxes(2, 3))
        codes = codes.reshape(-1, groups * GROUP)[:rows].view(self.dtype)

        scale = np.ones((rows, groups * GROUP // self.group), self.scale_dtype)
        centre = np.zeros((rows, groups), np.int8)
        if self.scaled:
            kinds = len(self.parts)
            parts = beats[:, scales_at].reshape(blocks, -1)[:, : tiles * groups * width * kinds]
            parts = parts.reshape(blocks, tiles, groups, width, kinds)
            parts = parts.transpose(4, 0, 1, 3, 2).reshape(kinds, -1, groups)[:, :rows]
            found = dict(zip(self.parts, parts))
            scale = found["scale"].view(self.scale_dtype)
            if "upper" in found:
                scale = np.stack([scale, found["upper"].view(self.scale_dtype)], -1)
                scale = scale.reshape(rows, -1)
            if self.centred:
                centre = found["centre"].view(np.int8)
        return codes, scale, centre, row_scale
