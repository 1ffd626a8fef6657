"""Random matrices and activations for the benches of the linear unit."""

from dataclasses import dataclass

import numpy as np

from rtl.config import GROUP, Config
from rtl.formats import BEATS_PER_GROUP, TILES, integers, pack
from rtl.isa import WeightFormat


__all__ = ["ODD", "FORMATS", "Matrix", "generator", "activations", "activation_writes"]


# Nothing in it is the same as in another configuration; three columns are no power of two.
ODD = Config(name="odd", beat_bits=256, columns=3, lanes=8, act_groups=32)

FORMATS = list(WeightFormat)


def generator(rng):
    """numpy generator that follows from a :class:`random.Random`."""
    return np.random.default_rng(rng.getrandbits(64))


@dataclass
class Matrix:
    """A packed matrix and what it was packed from; rows of zeros fill the last block."""
    config: Config
    fmt: WeightFormat
    rows: int
    groups: int
    centre_shift: int
    codes: np.ndarray
    scale: np.ndarray
    centre: np.ndarray
    row_scale: np.ndarray

    @classmethod
    def random(cls, config, gen, fmt, rows, groups):
        """Draw from the extremes more often than even chances would."""
        def draw(low, high, shape, dtype):
            edge = gen.choice([low, high - 1], shape)
            return np.where(gen.random(shape) < 0.3, edge, gen.integers(low, high, shape)).astype(dtype)

        wide = fmt == WeightFormat.S8
        codes = draw(-128, 128, (rows, groups * GROUP), np.int8) if wide else \
            draw(0, 16, (rows, groups * GROUP), np.uint8)
        if gen.random() < 0.5:
            codes[0] = -128 if wide else gen.choice([0, 15])
        return cls(config, fmt, rows, groups, int(gen.integers(8)), codes,
                   draw(0, 256, (rows, groups), np.uint8), draw(-128, 128, (rows, groups), np.int8),
                   gen.standard_normal(rows).astype(np.float32))

    @property
    def integers(self):
        """Integer weights (rows, K), int64."""
        return integers(self.fmt, self.codes, self.scale, self.centre, self.centre_shift, np.int64)

    @property
    def beats(self):
        """Beats as integers."""
        size = self.config.beat_bytes
        packed = pack(self.fmt, self.codes, self.scale, self.centre, self.row_scale, size)
        return [int.from_bytes(packed[n:n + size], "little") for n in range(0, len(packed), size)]

    def padded(self, array):
        """`array`, whose first axis are rows, with zeros up to whole blocks."""
        grow = -self.rows % self.config.block_rows
        return np.pad(array, [(0, grow), *[(0, 0)] * (array.ndim - 1)])

    def tiles(self, array):
        """`array`, whose first axis are rows, as (tile, row of the tile, ...)."""
        return self.padded(array).reshape(-1, self.config.rows, *array.shape[1:])

    @property
    def row_scale_tiles(self):
        """Payloads of the row scales."""
        return self.tiles(self.row_scale.view(np.uint32)).tolist()

    @property
    def weight_beats(self):
        """Payloads of the unpacked weights."""
        payloads, wide = [], self.fmt == WeightFormat.S8
        centre = self.tiles(np.zeros_like(self.centre) if wide else self.centre)
        scale = self.tiles(self.scale)
        raw = self.tiles(self.codes.view(np.uint8).reshape(self.rows, self.groups, 2, 16))
        for t in range(len(raw)):
            for g in range(self.groups):
                for half in range(BEATS_PER_GROUP[self.fmt]):
                    beat = raw[t, :, g, half] if wide else raw[t, :, g, 0] | raw[t, :, g, 1] << 4
                    payloads.append({
                        "codes": int.from_bytes(beat.tobytes(), "little"), "format": self.fmt.value,
                        "scale": scale[t, :, g].tolist(), "centre": centre[t, :, g].tolist(),
                        "group": g, "half": half, "first": int(g == half == 0),
                        "last": int(g == self.groups - 1 and half == wide)})
        assert len(raw) % TILES == 0
        return payloads


def activations(config, gen, groups):
    """Quantized values (M, K) and exponents (M, groups) of one vector per column."""
    shape = config.columns, groups
    q = gen.integers(-128, 128, (*shape, GROUP))
    q[gen.random(shape) < 0.2] = 127
    q[gen.random(shape) < 0.2] = -128
    top = gen.integers(0, 256, (config.columns, 1))
    spread = gen.choice([0, 1, 14, 15, 16, 17, 255], shape)
    return q.reshape(config.columns, -1), np.maximum(top - spread, 0)


def activation_writes(config, q, exponents, first=0):
    """Payloads that write the vectors to the groups from `first` on."""
    runs = q.reshape(*exponents.shape, -1, config.lanes)
    columns, groups, count, _ = runs.shape
    return [{"values": runs[c, g, n].tolist(), "exponent": int(exponents[c, g]), "group": first + g,
             "column": c, "clear": int(g == n == 0), "last": int(n == count - 1)}
            for c in range(columns) for g in range(groups) for n in range(count)]
