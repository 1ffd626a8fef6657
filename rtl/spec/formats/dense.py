"""Blocks of whole rows: the layout that all dense formats share.

A *step* is what the core multiplies at once: rows side by side, times one group of columns. The
fewer bits a weight has, the more rows a beat of `beat_bytes` holds (N = beat_bytes / 16).

A block of `block_rows` (beat_bytes / 4, 4 N) rows is: one beat of fp32 row scales; then, tile of
rows after tile and group after group, the beats of the steps. A scale beat comes before those of
every `scale_run` steps: the bytes of the format's `parts`, ordered [group step][row][part]. The
whole matrix is padded with zeros to `UNIT_BYTES`; with `whole_blocks`, each block is.
"""

from abc import abstractmethod

import numpy as np

from ..numbers import GROUP, LANE_BYTES, TILES, UNIT_BYTES
from .format import Format, whole_units


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
    whole_blocks : :class:`bool`
        Each block is padded to `UNIT_BYTES`, so that it has an address.
    """

    step_rows = 1
    steps_per_group = 1
    gear = 0
    whole_blocks = False

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

    @property
    def scale_run(self):
        """Steps whose scales fill a beat; 0 without scales."""
        if not self.parts:
            return 0
        return self.steps_per_group * LANE_BYTES // (len(self.parts) * self.step_rows)

    def _scale_beats(self, groups):
        """Scale beats of a block."""
        steps = self.tiles * groups * self.steps_per_group
        return -(-steps // self.scale_run) if self.scaled else 0

    def block_beats(self, groups, beat_bytes):
        """Beats of one block of rows, padding included."""
        steps = groups * self.steps_per_group
        if self.gear:
            steps -= steps // self.gear
        beats = 1 + self.tiles * steps + self._scale_beats(groups)
        unit_beats = UNIT_BYTES // beat_bytes
        return -(-beats // unit_beats) * unit_beats if self.whole_blocks else beats

    def stream_units(self, rows, groups, beat_bytes, data=None):
        blocks = -(-rows // (beat_bytes // 4))
        return -(-blocks * self.block_beats(groups, beat_bytes) * beat_bytes // UNIT_BYTES)

    def _places(self, groups):
        """Beats of a block that are codes, and that are scales."""
        codes, scales, at = [], [], 1
        count = groups * self.steps_per_group
        for index in range(self.tiles * count):
            if self.scaled and index % self.scale_run == 0:
                scales.append(at)
                at += 1
            if not self.gear or index % count % self.gear != self.gear - 1:
                codes.append(at)
                at += 1
        return codes, scales

    def pack(self, codes, scale, centre, row_scale, beat_bytes, patterns=None):
        self.check(codes)
        rows, groups = codes.shape[0], codes.shape[1] // GROUP
        tiles, width = self.tiles, self.step_rows * beat_bytes // LANE_BYTES
        blocks = -(-rows // (beat_bytes // 4))
        grow = blocks * (beat_bytes // 4) - rows
        codes = np.pad(codes.view(np.uint8), [(0, grow), (0, 0)])
        beats = self.code_bytes(codes.reshape(blocks, tiles, width, groups, GROUP)).swapaxes(-2, -3)

        out = np.zeros((blocks, self.block_beats(groups, beat_bytes), beat_bytes), np.uint8)
        row_scale = np.pad(row_scale.astype("<f4"), (0, grow)).view(np.uint8)
        out[:, 0] = row_scale.reshape(blocks, beat_bytes)
        codes_at, scales_at = self._places(groups)
        out[:, codes_at] = beats.reshape(blocks, -1, beat_bytes)
        if self.scaled:
            given = {"scale": scale, "centre": centre}
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
            runs = self._scale_beats(groups)
            parts = np.pad(parts, [(0, 0), (0, runs * beat_bytes - parts.shape[1])])
            out[:, scales_at] = parts.reshape(blocks, runs, beat_bytes)
        return whole_units(out.tobytes())

    def unpack(self, data, rows, groups, beat_bytes):
        tiles, width = self.tiles, self.step_rows * beat_bytes // LANE_BYTES
        blocks, total = -(-rows // (beat_bytes // 4)), self.block_beats(groups, beat_bytes)
        beats = np.frombuffer(data, np.uint8, blocks * total * beat_bytes)
        beats = beats.reshape(blocks, total, beat_bytes)
        row_scale = np.ascontiguousarray(beats[:, 0]).view("<f4").reshape(-1)[:rows]
        codes_at, scales_at = self._places(groups)
        codes = beats[:, codes_at].reshape(blocks, tiles, -1, width, beat_bytes // width)
        codes = self.codes_of(codes.swapaxes(-2, -3), groups)
        codes = codes.reshape(-1, groups * GROUP)[:rows].view(self.dtype)

        scale, centre = np.ones((rows, groups), np.uint8), np.zeros((rows, groups), np.int8)
        if self.scaled:
            kinds = len(self.parts)
            parts = beats[:, scales_at].reshape(blocks, -1)[:, : tiles * groups * width * kinds]
            parts = parts.reshape(blocks, tiles, groups, width, kinds)
            parts = parts.transpose(4, 0, 1, 3, 2).reshape(kinds, -1, groups)[:, :rows]
            found = dict(zip(self.parts, parts))
            scale = found["scale"]
            if self.centred:
                centre = found["centre"].view(np.int8)
        return codes, scale, centre, row_scale
