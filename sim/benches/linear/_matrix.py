"""Random matrices and activations for the benches of the linear unit."""

from dataclasses import dataclass

import numpy as np

from rtl.spec.config import GROUP, Config
from rtl.spec.descriptor import Descriptor
from rtl.spec.formats import FORMATS as BY_FORMAT, SPARSE, pack
from rtl.spec.isa import WeightFormat
from rtl.spec.sparse_modes import BLOCK
from sim.oracles.linear import PRODUCTS, WEIGHTS


__all__ = ["ODD", "FORMATS", "Matrix", "generator", "activations", "activation_writes", "tables"]


# Nothing in it is the same as in another configuration; three columns are no power of two.
ODD = Config(name="odd", beat_bits=256, columns=3, lanes=8, act_groups=32)

FORMATS = list(WeightFormat)

# The least code of a format, and the one after the largest.
RANGES = {fmt: (its.low, its.high + 1) for fmt, its in BY_FORMAT.items()}


def scales_of(its):
    """The least scale of a format, and the one after the largest."""
    return (-128, 128) if its.signed_scale else (0, 256)


def generator(rng):
    """numpy generator that follows from a :class:`random.Random`."""
    return np.random.default_rng(rng.getrandbits(64))


def sparse_codes(config, gen, rows, depth, values):
    """Codes (rows, K) of which the blocks of 16 x 16 have zeros as the modes say, and `values`
    else.
    """
    stripes, height = -(-rows // (BLOCK * config.rows)), BLOCK * config.rows
    # (stripe, block, row, element); which of them are drawn first
    shape = stripes, depth // BLOCK, height, BLOCK
    order = gen.random(shape).argsort(-1)
    most = np.array([0, 2, 4, 8, 16])[gen.integers(5, size=shape[:2])][..., None, None]
    # 2:4 is the 8 of 16 that have 2 of every 4.
    fours = gen.random((*shape[:-1], 4, 4)).argsort(-1).reshape(shape) < 2
    kept = np.where(gen.random(shape[:2])[..., None, None] < 0.2, fours, order < most)
    kept &= (gen.random(shape[:2]) < 0.9)[..., None, None]
    # A stripe of zeros, and one that ends early.
    if gen.random() < 0.3:
        kept[gen.integers(stripes)] = False
    if gen.random() < 0.3:
        kept[-1, shape[1] // 2 :] = False
    kept = kept.transpose(0, 2, 1, 3).reshape(-1, depth)[:rows]
    return np.where(kept, values, 0).astype(values.dtype)


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
            return np.where(gen.random(shape) < 0.3, edge, gen.integers(low, high, shape)).astype(
                dtype
            )

        (low, high), its = RANGES[fmt], BY_FORMAT[fmt]
        codes = draw(low, high, (rows, groups * GROUP), np.int8 if low < 0 else np.uint8)
        if gen.random() < 0.5:
            codes[0] = gen.choice([low, high - 1])
        if fmt in SPARSE:
            codes = sparse_codes(config, gen, rows, groups * GROUP, codes)
        return cls(
            config,
            fmt,
            rows,
            groups,
            int(gen.integers(8)),
            codes,
            draw(*scales_of(its), (rows, groups * GROUP // its.group), its.scale_dtype),
            draw(-128, 128, (rows, groups), np.int8),
            gen.standard_normal(rows).astype(np.float32),
        )

    @property
    def integers(self):
        """Integer weights (rows, K), int64."""
        return WEIGHTS.expect(self.fmt, self.codes, self.scale, self.centre, self.centre_shift)

    @property
    def descriptor(self):
        """Beats of the descriptor, as integers."""
        its = Descriptor(self.fmt, self.centre_shift, self.rows, self.groups)
        return self.as_beats(its.pack())

    @property
    def beats(self):
        """Beats of the stream, as integers."""
        return self.descriptor + self.body

    def as_beats(self, packed):
        """Bytes as beats."""
        size = self.config.beat_bytes
        return [int.from_bytes(packed[n : n + size], "little") for n in range(0, len(packed), size)]

    @property
    def body(self):
        """Beats behind the descriptor; all that a block of an embedding has."""
        packed = pack(
            self.fmt,
            self.codes,
            self.scale,
            self.centre,
            self.row_scale,
            self.config.word_bytes,
            self.config.patterns,
        )
        return self.as_beats(packed)

    def padded(self, array):
        """`array`, whose first axis are rows, with zeros up to whole blocks or stripes."""
        grow = -self.rows % (
            BLOCK * self.config.rows if self.fmt in SPARSE else self.config.block_rows
        )
        return np.pad(array, [(0, grow), *[(0, 0)] * (array.ndim - 1)])

    def tiles(self, array):
        """`array`, whose first axis are rows, as (slice, row of the slice, ...)."""
        return self.padded(array).reshape(-1, self.config.rows, *array.shape[1:])

    @property
    def row_scale_tiles(self):
        """Payloads of the row scales."""
        return self.tiles(self.row_scale.view(np.uint32)).tolist()

    @property
    def embed_steps(self):
        """What an embedding wants of the unpacked steps of S8: see
        :class:`~rtl.spec.payloads.WeightStep`.
        """
        raw = self.tiles(self.codes.view(np.uint8).reshape(self.rows, self.groups, 2, 16))
        return [
            {
                "codes": int.from_bytes(raw[t, :, g, half].tobytes(), "little"),
                "scale": scale[:, g].tolist(),
                "last": int(g == self.groups - 1 and half),
            }
            for t, scale in enumerate(self.tiles(self.scale))
            for g in range(self.groups)
            for half in range(2)
        ]


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
    return [
        {
            "values": runs[c, g, n].tolist(),
            "exponent": int(exponents[c, g]),
            "group": first + g,
            "column": c,
            "clear": int(g == n == 0),
            "last": int(n == count - 1),
        }
        for c in range(columns)
        for g in range(groups)
        for n in range(count)
    ]


def tables(values, inputs):
    """Tables (M, 32 / inputs, 2**(inputs - 1)) of values (M, 32); those of one input are the
    values.

    An entry is the last of its values, with each of the others added where its bit of the entry's
    number is one, and taken off where it is zero.
    """
    if inputs == 1:
        return values[..., None]
    signs = [
        [1 if e >> k & 1 else -1 for k in range(inputs - 1)] + [1] for e in range(1 << inputs - 1)
    ]
    entries = PRODUCTS.expect(np.array(signs), values.reshape(-1, inputs))
    return entries.reshape(len(values), -1, len(signs))
